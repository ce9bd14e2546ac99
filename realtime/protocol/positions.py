"""How far a socket is known to have got (pure): what was sent before a heartbeat that the client answered.

Kept by the subscriptions of a connection, written to by the hub and the clock, saved with the session.
"""

from collections.abc import Mapping

MAX_UNANSWERED = 4  # heartbeats that are noted; hardly a socket owes more
NOTHING: Mapping[str, int] = {}  # shared: most heartbeats of most sockets would confirm what is known already


class Positions:
    """Positions by stream. Nothing is confirmed by merely having been sent."""

    __slots__ = ("_noted", "_overdue", "confirmed")

    def __init__(self) -> None:
        self.confirmed: dict[str, int] = {}
        # What the last unanswered heartbeats would confirm, oldest first. A tuple, because it is empty nearly always.
        self._noted: tuple[Mapping[str, int], ...] = ()
        self._overdue = 0  # unanswered heartbeats before those: an answer to one of them must not count for the next

    def start(self, stream: str, seq: int) -> None:
        """The stream is sent from here on: up to `seq` the client knows it.

        Heartbeats that are under way left before that, so they say nothing of what is sent now.
        """
        self._forget(stream)
        self.confirmed[stream] = seq

    def stop(self, stream: str) -> None:
        self._forget(stream)
        self.confirmed.pop(stream, None)

    def note_heartbeat(self, positions: Mapping[str, int]) -> None:
        """A heartbeat goes out; everything up to `positions` has gone out before it."""
        if not any(self._noted):  # else what is confirmed now is yet to change: to a lower position, even
            positions = {stream: seq for stream, seq in positions.items() if self.confirmed.get(stream) != seq}
        self._noted = (*self._noted, positions or NOTHING)
        if len(self._noted) > MAX_UNANSWERED:
            self._noted = self._noted[1:]
            self._overdue += 1

    def confirm(self) -> bool:
        """The client answered the oldest heartbeat. Returns whether anything became known by it."""
        if self._overdue:
            self._overdue -= 1
            return False
        if not self._noted:
            return False
        changed = False
        positions, *later = self._noted
        self._noted = tuple(later)
        for stream, seq in positions.items():
            if self.confirmed.get(stream, seq) != seq:  # lower where a client came with a position from the future
                self.confirmed[stream] = seq
                changed = True
        return changed

    def _forget(self, stream: str) -> None:
        self._noted = tuple(without(positions, stream) for positions in self._noted)


def without(positions: Mapping[str, int], stream: str) -> Mapping[str, int]:
    return {other: seq for other, seq in positions.items() if other != stream} or NOTHING
