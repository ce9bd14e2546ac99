"""How far a client has got in each stream (pure): up to what was sent before a heartbeat that it answered.

Part of a connection's subscriptions. The hub and the clock update it; it is saved with the session.
"""

from collections.abc import Mapping

MAX_UNANSWERED = 4  # heartbeats that are noted; few sockets ever owe more answers
# One shared empty mapping: most heartbeats confirm nothing that is not known already.
NOTHING: Mapping[str, int] = {}


class Positions:
    """Confirmed positions by stream. Being sent does not confirm an event; an answered heartbeat does."""

    __slots__ = ("_noted", "_overdue", "confirmed")

    def __init__(self) -> None:
        self.confirmed: dict[str, int] = {}
        # What the latest unanswered heartbeats would confirm, oldest first. A tuple, because it is nearly always empty.
        self._noted: tuple[Mapping[str, int], ...] = ()
        # Unanswered heartbeats older than those: the answer to one of them must not count as the answer to a later one.
        self._overdue = 0

    @property
    def unanswered(self) -> int:
        """How many heartbeats the client has not answered yet."""
        return len(self._noted) + self._overdue

    def start(self, stream: str, seq: int) -> None:
        """The client knows the stream up to `seq`; what follows is sent from now on.

        Unanswered heartbeats were sent earlier, so their answers confirm nothing that is sent from now on.
        """
        self._forget(stream)
        self.confirmed[stream] = seq

    def stop(self, stream: str) -> None:
        """Forget the stream."""
        self._forget(stream)
        self.confirmed.pop(stream, None)

    def note_heartbeat(self, positions: Mapping[str, int]) -> None:
        """A heartbeat is sent now. Everything up to `positions` was sent before it."""
        # Only what differs from the confirmed positions is noted. This needs that no noted heartbeat can still change
        # them: an answer can even lower a position.
        if not any(self._noted):
            positions = {stream: seq for stream, seq in positions.items() if self.confirmed.get(stream) != seq}
        self._noted = (*self._noted, positions or NOTHING)
        if len(self._noted) > MAX_UNANSWERED:
            self._noted = self._noted[1:]
            self._overdue += 1

    def confirm(self) -> bool:
        """The client answered the oldest unanswered heartbeat. Returns whether a position changed."""
        if self._overdue:
            self._overdue -= 1
            return False
        if not self._noted:
            return False
        changed = False
        positions, *later = self._noted
        self._noted = tuple(later)
        for stream, seq in positions.items():
            # Not `<`: a client may have come with a position that is higher than the stream's; this lowers it.
            if self.confirmed.get(stream, seq) != seq:
                self.confirmed[stream] = seq
                changed = True
        return changed

    def _forget(self, stream: str) -> None:
        self._noted = tuple(without(positions, stream) for positions in self._noted)


def without(positions: Mapping[str, int], stream: str) -> Mapping[str, int]:
    """The positions of all other streams."""
    return {other: seq for other, seq in positions.items() if other != stream} or NOTHING
