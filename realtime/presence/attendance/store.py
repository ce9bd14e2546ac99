"""The contract of attendance: which users have a room's stream open on a socket, in any process.

Two stores implement it, `memory` and `redis`, and one test file runs on both. Called by the reporter and by `online`.
"""

from collections.abc import Mapping, Sequence
from heapq import nsmallest
from typing import NamedTuple, Protocol


class Attendance(NamedTuple):
    """On how many sockets of one process a user has a stream open; 0 for none any more."""

    stream: str
    user: str
    sockets: int


class AttendanceStore(Protocol):
    """All methods raise `realtime.presence.store.StoreUnavailable`. An instance belongs to one event loop.

    A process whose lease has ended counts no more. Its name is not used again: a process that was only slow starts
    over under a new one. So what it has reported needs no care; it is deleted when somebody sweeps.
    """

    async def begin(self, process: str) -> None:
        """Start the lease of a process."""
        ...

    async def report(self, process: str, changes: Sequence[Attendance]) -> bool:
        """Note the changes, and renew the lease. False, and nothing is noted, if the lease has ended or was lost.

        The numbers are absolute, so a call may be repeated. Without changes, it only renews the lease.
        """
        ...

    async def find(self, stream: str, users: Sequence[str]) -> set[str]:
        """Those of the users who have the stream open."""
        ...

    async def largest(self, limit: int) -> list[tuple[str, int]]:
        """The streams that are open on the most sockets, each with their number, the largest first.

        The numbers are exact. A store for several processes looks only at the largest streams of each of them: it may
        leave out one that is among twice the `limit` largest of none.
        """
        ...

    async def sweep(self) -> None:
        """Delete what processes have left whose leases have ended, or a part of it."""
        ...

    async def drop(self, process: str) -> None:
        """End the lease of a process now."""
        ...

    async def close(self) -> None:
        """Close the connections of this store. Its data stays."""
        ...


def choose_largest(totals: Mapping[str, int], limit: int) -> list[tuple[str, int]]:
    """The largest of some streams; of equal ones, those whose names come first, so that their order is always the same.

    `totals` has the number of sockets of each stream.
    """
    return nsmallest(limit, totals.items(), key=lambda item: (-item[1], item[0]))
