"""How many users are online, and which changes of that a process has heard of (pure).

Used by the presence stores, the tracker and the announcer. A *change* is a user who comes online or goes offline for
others. The store numbers the changes without a hole; the number of the last one is the *version*.
"""

from collections import OrderedDict
from enum import Enum, auto
from typing import NamedTuple

# A change that is missing for so long has been lost. On its way through the bus it takes milliseconds.
LOST_SECONDS = 3.0
# Changes that are remembered because others before them are missing.
MOST_EARLY = 10_000
# Users whose last change is remembered.
MOST_USERS = 10_000


class Census(NamedTuple):
    """How many users are online after the change number `version`; 0 if the store could not be asked."""

    online_count: int
    version: int


class Heard(Enum):
    """What the announcement of a change is to a process."""

    NEW = auto()
    LATE = auto()  # the change was given up as lost, and a count that contains it was sent instead
    REPEATED = auto()
    OUTDATED = auto()  # a later change of the same user was told


class Roll:
    """Which changes this process has heard of, compared with the answers of the store. Times are in seconds."""

    def __init__(self) -> None:
        self.census: Census | None = None  # the newest answer of the store
        self._position = 0  # every change up to it has been heard, or is not waited for
        self._early: set[int] = set()  # changes after it that have been heard
        # The version of the first answer. Nobody waits for changes before it, but some are still on their way.
        self._start = 0
        self._before: set[int] = set()  # those of them that have been heard
        self._given_up: set[int] = set()  # changes before it that have not been heard
        self._missing: tuple[int, float] | None = None  # a version, and since when changes up to it are missing
        self._is_broken = False  # too much was early

    def hear(self, version: int) -> Heard:
        """The change has been announced."""
        if version <= self._start:
            is_new = version not in self._before
            self._before.add(version)
            return Heard.NEW if is_new else Heard.REPEATED
        if version in self._given_up:
            self._given_up.remove(version)
            return Heard.LATE
        if version <= self._position or version in self._early:
            return Heard.REPEATED
        self._early.add(version)
        if len(self._early) > MOST_EARLY:
            self._is_broken = True
            self._move(version)
        self._move(self._position)
        return Heard.NEW

    def note(self, census: Census, now: float) -> bool:
        """The store has answered. Returns whether changes have been lost on their way, so a count must be sent."""
        # Before the first change, nobody knows with which number the store begins.
        if self.census is None or not self.census.version:
            self._begin(census)
        elif census.version > self.census.version:
            self.census = census
        if self._missing is not None and self._missing[0] <= self._position:
            self._missing = None
        if self._missing is None and self._position < census.version:
            self._missing = (census.version, now)
        return self._is_broken or (self._missing is not None and now - self._missing[1] >= LOST_SECONDS)

    def settle(self, version: int) -> None:
        """A count is sent that contains all changes up to this version: those that are missing are given up."""
        self._is_broken = False
        missing = range(self._position + 1, version + 1)
        if missing:
            self._given_up = set(missing).difference(self._early) if len(missing) <= MOST_EARLY else set()
        self._move(version)

    def restart(self, census: Census) -> None:
        """The store has gone back to an earlier state: forget what came after it."""
        self._missing, self._position = None, 0
        self._early, self._given_up = set(), set()
        self._begin(census)

    def _begin(self, census: Census) -> None:
        self.census, self._start = census, census.version
        self._before = {number for number in self._early if number <= census.version}
        self._move(census.version)

    def _move(self, version: int) -> None:
        """Wait for nothing up to this version, nor for what directly follows and was heard already."""
        if version > self._position:
            self._position = version
            self._early = {number for number in self._early if number > version}
        while self._position + 1 in self._early:
            self._position += 1
            self._early.remove(self._position)


class LastChanges:
    """The last change of each user that was told. Two changes of one user may overtake each other on their way."""

    def __init__(self, limit: int = MOST_USERS) -> None:
        self._limit = limit
        self._versions: OrderedDict[str, int] = OrderedDict()  # by user key, the last told at the end

    def hear(self, user_key: str, version: int) -> Heard:
        """The change is to be told. It is NEW, REPEATED or OUTDATED."""
        if version <= (known := self._versions.get(user_key, 0)):
            return Heard.REPEATED if version == known else Heard.OUTDATED
        self._versions[user_key] = version
        self._versions.move_to_end(user_key)
        if len(self._versions) > self._limit:
            self._versions.popitem(last=False)
        return Heard.NEW

    def clear(self) -> None:
        """The store has gone back to an earlier state, and may give numbers again."""
        self._versions.clear()
