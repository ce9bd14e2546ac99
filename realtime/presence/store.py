"""The contract of presence: who is online, on how many sockets, with which status.

Two stores keep it, `memory` and `redis`, and one test file runs on both. Called by the hub, which reports its
connections, by the `presence` command and by the REST views. It knows no user model: ids are strings here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

ONLINE: Final = "online"  # the status of whoever has not set one
OFFLINE: Final = "offline"  # "appear offline": connected, but in no list and no count


class StoreUnavailable(Exception):
    """The store cannot be reached. What was asked may or may not have happened: sync the same users again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One user who is present, as all processes together see him."""

    user_id: str
    connections: int  # over all processes; 0 while in the grace time
    status: str  # "online", "away", "busy" or "offline"
    data: bytes  # the JSON object given with the status, b"" when there was none

    @property
    def online(self) -> bool:
        return self.status != OFFLINE


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be announced about a user."""

    user_id: str
    status: Literal["online", "offline"]


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a `sync` led to."""

    online_count: int  # visible users
    arrived: list[Change]  # who was not known at all before
    # False when the store did not know the process before this call. A process that had synced before has then been
    # swept or forgotten, and the next `renew` would not tell, because this very call gave it a lease: sync everybody.
    known: bool


class PresenceStore(Protocol):
    """All methods raise `StoreUnavailable`. An instance belongs to one event loop.

    A user whose last connection goes is *leaving*: still listed until the grace time is over and somebody sweeps,
    so a page reload is silence. A process that does not renew its lease in time is treated as dead by the others.
    """

    async def sync(self, process: str, counts: Mapping[str, int]) -> SyncResult:
        """Say how many sockets each of these users has in this process, 0 for none; others keep what they had.

        Absolute numbers, so it may be repeated. Creates or renews the lease of the process. Calls on one store take
        effect in the order in which they were made. A user who comes back within the grace time has not `arrived`.
        """
        ...

    async def renew(self, process: str) -> bool:
        """Extend the lease. False when the store does not know the process: then sync all of its users."""
        ...

    async def sweep(self) -> list[Change]:
        """Count out dead processes, remove users whose grace time is over with their status, return the visible ones.

        However many processes sweep at the same time, each removed user is returned to exactly one of them.
        """
        ...

    async def retire(self, process: str) -> int:
        """Say that the process will stop. Returns how many others have a lease and have not said so."""
        ...

    async def drop(self, process: str, longer_seconds: float = 0) -> None:
        """Leave on purpose: as if the lease of the process ran out now, but with so much more time of grace."""
        ...

    async def set_status(self, user_id: str, status: str, data: bytes) -> str | None:
        """Return the status before; None, and nothing is stored, when the user is not present."""
        ...

    async def count(self) -> int:
        """How many users are visible."""
        ...

    async def page(self, offset: int, limit: int) -> list[Entry]:
        """Visible users in the order in which they came online, those in their grace time included."""
        ...

    async def get(self, user_ids: Sequence[str]) -> dict[str, Entry]:
        """Those of the users who are present, also who appears offline."""
        ...

    async def close(self) -> None:
        """Give the connections of this store back; what it holds stays."""
        ...


def to_ms(seconds: float) -> int:
    """Both stores reckon in whole milliseconds, so that they agree on when a time has come."""
    return round(seconds * 1000)
