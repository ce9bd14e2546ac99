"""How far a socket is known to have got (L0, pure): what was sent before a heartbeat that the client answered.

Kept by the connection, written to by the hub and the pulse, saved with the session.
"""

from collections import deque

MAX_UNANSWERED = 4  # heartbeats; a socket that owes more is closed anyway


class Progress:
    """Positions by stream. Nothing is confirmed by merely having been sent."""

    __slots__ = ("_sent", "confirmed")

    def __init__(self) -> None:
        self.confirmed: dict[str, int] = {}
        self._sent: deque[dict[str, int]] | None = None  # what each unanswered heartbeat would confirm, oldest first

    def start(self, stream: str, seq: int) -> None:
        """The stream is sent from here on: what came before is known, or is history."""
        self.confirmed[stream] = seq

    def stop(self, stream: str) -> None:
        self.confirmed.pop(stream, None)

    def note_heartbeat(self, positions: dict[str, int]) -> None:
        """A heartbeat goes out; everything up to `positions` has gone out before it."""
        if self._sent is None:
            self._sent = deque(maxlen=MAX_UNANSWERED)
        self._sent.append(positions)

    def confirm(self) -> bool:
        """The client answered the oldest heartbeat. Returns whether anything became known by it."""
        if not self._sent:
            return False
        changed = False
        for stream, seq in self._sent.popleft().items():
            if self.confirmed.get(stream, seq) < seq:
                self.confirmed[stream] = seq
                changed = True
        return changed
