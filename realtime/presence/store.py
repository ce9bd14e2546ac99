"""The contract of presence: who is online, on how many sockets, with which status.

Two stores implement it, `memory` and `redis`, and one test file runs on both. Called by the tracker, which reports
sockets and statuses, and by `online` for the REST views. It knows no user model: ids are strings here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol

from realtime.protocol.census import Census

ONLINE: Final = "online"  # the default status
# "Appear offline": the user is connected, but in no list and no count.
OFFLINE: Final = "offline"


class StoreUnavailable(Exception):
    """The store cannot be reached, or refuses, because it is full or read-only.

    The request may or may not have taken effect: sync the same users again.
    """


class StoredStatus(NamedTuple):
    """A status that a user has set, with its data as in an `Entry`."""

    status: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One user who is present, as seen by all processes together."""

    user_id: str
    connections: int  # over all processes; 0 while in the grace time
    status: str  # "online", "away", "busy" or "offline"
    data: bytes  # the JSON object of the status, b"" for none

    @property
    def online(self) -> bool:
        return self.status != OFFLINE


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a user that must be announced."""

    user_id: str
    status: Literal["online", "offline"]
    # The number of the change. Not compared, here and below: with which number a store begins, is its own affair.
    version: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SyncResult:
    """The result of a `sync`."""

    online_count: int  # visible users
    arrived: list[Change]  # users who were not known before
    # False if the store did not know the process. If it had synced before, it was swept or forgotten: then sync all of
    # its users. The next `renew` would not notice, because this call has created the lease again.
    known: bool
    version: int = field(default=0, compare=False)  # of `online_count`
    # Users who were visible until this call told the store that they appear offline.
    hidden: list[Change] = field(default_factory=list)
    # Of the users in this call with sockets: the statuses of those who have set one.
    statuses: dict[str, StoredStatus] = field(default_factory=dict)

    @property
    def census(self) -> Census:
        return Census(self.online_count, self.version)


@dataclass(frozen=True, slots=True)
class StatusResult:
    """The result of a `set_status`."""

    previous: str
    # If the user became visible or disappeared, this is the change with its version.
    census: Census = field(compare=False)
    # Whether other processes than the caller's have sockets of the user.
    is_elsewhere: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Process:
    """A process that has a lease, with its users and their sockets as last reported."""

    name: str
    users: int
    sockets: int
    retiring: bool  # it will stop


class Lost(NamedTuple):
    """A user whose last sockets were those of a process that died."""

    user_id: str
    visible: bool  # false for a user who appeared offline


class Visible(NamedTuple):
    """Those of some users who are visible, in the order in which they came online, after the change `version`.

    `places` are the numbers of the changes in which they came online.
    """

    user_ids: list[str]
    version: int
    places: list[int]


# Called with users, and how many seconds ago the lease of the process has ended.
OnLost = Callable[[Sequence[Lost], float], None]


def ignore_lost(_users: Sequence[Lost], _seconds: float) -> None: ...


NO_STATUSES: Final[Mapping[str, StoredStatus]] = MappingProxyType({})


class PresenceStore(Protocol):
    """All methods raise `StoreUnavailable`. An instance belongs to one event loop.

    In the same step in which a user comes online or goes offline for others, the change gets the next number (`census`
    in `protocol`), and an answer that counts users has the number of the last change. No number is used again, even if
    the store has lost its data.

    A user whose last connection has closed is *leaving*: still listed until the grace time is over and a process
    sweeps, so a page reload is not announced. A process that does not renew its lease in time counts as dead.
    """

    async def sync(
        self, process: str, counts: Mapping[str, int], statuses: Mapping[str, StoredStatus] = NO_STATUSES
    ) -> SyncResult:
        """Report how many sockets each of these users has in this process, 0 for none. Other users keep their counts.

        The counts are absolute, so a call may be repeated. It creates or renews the lease of the process. Calls on one
        store take effect in order. A user who comes back within the grace time is not in `arrived`.

        `statuses` are those of users with sockets, as far as the process knows them. One is stored if the store has
        none of that user, because it has lost its data or has counted the user out. Whoever appears offline by that is
        visible at no moment.
        """
        ...

    async def renew(self, process: str) -> bool:
        """Extend the lease. False if the store does not know the process: then sync all of its users."""
        ...

    async def sweep(self, *, processes: bool = True, on_lost: OnLost = ignore_lost) -> list[Change]:
        """Subtract the sockets of dead processes; remove users whose grace time is over, and return the visible ones.

        The users' statuses are removed, too. Even if several processes sweep at the same time, each removed user is
        returned to exactly one of them. Without `processes`, none counts as dead. A store that refuses reports refuses
        this, too, and then removes nobody. `on_lost` is called with those who have no sockets left when those of a dead
        process are subtracted, as many as are subtracted in one step.
        """
        ...

    async def retire(self, process: str) -> int:
        """Report that the process will stop. Returns how many others have a lease and have not reported that."""
        ...

    async def drop(self, process: str, longer_seconds: float = 0) -> None:
        """End the lease of the process now. Its users get `longer_seconds` more than the usual grace time."""
        ...

    async def set_status(self, user_id: str, status: str, data: bytes, process: str = "") -> StatusResult | None:
        """Set the status of a user, for a `process`. If the user is not present, store nothing and return None."""
        ...

    async def count(self) -> int:
        """How many users are visible."""
        ...

    async def census(self) -> Census:
        """How many users are visible, and after which change."""
        ...

    async def choose_visible(self, user_ids: Sequence[str]) -> Visible:
        """Those of the users who are visible."""
        ...

    async def page(self, offset: int, limit: int) -> list[Entry]:
        """Visible users in the order in which they came online. Users in their grace time are included."""
        ...

    async def get(self, user_ids: Sequence[str]) -> dict[str, Entry]:
        """Those of the users who are present. Users who appear offline are included."""
        ...

    async def processes(self, limit: int) -> list[Process]:
        """The processes that have a lease, `limit` at most, in the order of their names."""
        ...

    async def close(self) -> None:
        """Close the connections of this store. Its data stays."""
        ...


def to_ms(seconds: float) -> int:
    """Both stores count in whole milliseconds, so that they agree on whether a time is over."""
    return round(seconds * 1000)
