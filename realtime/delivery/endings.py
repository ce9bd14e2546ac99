"""Which users and logins were disconnected lately. Pure; kept by the registry, asked by whoever looked up a right.

A control closes the sockets that are registered. What was looked up before it may be outdated once it has passed, so
whoever registers a socket after a look-up asks here whether something ended in between.
"""

from collections import OrderedDict

LIMIT = 10_000  # names that are kept


class Endings:
    """When each name was last disconnected, in seconds of a clock that never goes back.

    Only the newest `limit` names are kept. A name that is not kept counts as disconnected at the time of the newest one
    that was dropped: the answer may be yes without a need, and is never no by mistake.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._times: OrderedDict[str, float] = OrderedDict()
        self._dropped_at = float("-inf")
        self._all_at = float("-inf")

    def note(self, name: str, now: float) -> None:
        self._times[name] = now
        self._times.move_to_end(name)
        if len(self._times) > self._limit:
            _name, self._dropped_at = self._times.popitem(last=False)

    def note_all(self, now: float) -> None:
        """Any name may have been disconnected: nobody knows which."""
        self._all_at = now

    def __contains__(self, name: str) -> bool:
        """Whether the name is known to have been disconnected."""
        return name in self._times

    def has_since(self, name: str, moment: float) -> bool:
        """Whether the name may have been disconnected at `moment` or later."""
        return max(self._times.get(name, self._dropped_at), self._all_at) >= moment
