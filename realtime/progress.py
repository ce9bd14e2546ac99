"""How far a socket is known to have got (L0, pure): what was sent before a heartbeat that the client answered.

Kept by the connection, written to by the hub and the pulse, saved with the session.
"""

from collections import deque

MAX_UNANSWERED = 4  # heartbeats that are noted; hardly a socket owes more


class Progress:
    """Positions by stream. Nothing is confirmed by merely having been sent."""

    __slots__ = ("_answered", "_noted", "_sent", "confirmed")

    def __init__(self) -> None:
        self.confirmed: dict[str, int] = {}
        self._sent = 0  # heartbeats
        self._answered = 0
        # What the last unanswered heartbeats would confirm, oldest first, each with its number: an answer to one that
        # is no longer noted must not count for the next.
        self._noted: deque[tuple[int, dict[str, int]]] | None = None

    def start(self, stream: str, seq: int) -> None:
        """The stream is sent from here on: up to `seq` the client knows it.

        Heartbeats that are under way left before that, so they say nothing of what is sent now.
        """
        self._forget(stream)
        self.confirmed[stream] = seq

    def stop(self, stream: str) -> None:
        self._forget(stream)
        self.confirmed.pop(stream, None)

    def note_heartbeat(self, positions: dict[str, int]) -> None:
        """A heartbeat goes out; everything up to `positions` has gone out before it."""
        if self._noted is None:
            self._noted = deque(maxlen=MAX_UNANSWERED)
        self._sent += 1
        self._noted.append((self._sent, positions))

    def confirm(self) -> bool:
        """The client answered the oldest heartbeat. Returns whether anything became known by it."""
        if self._answered == self._sent:
            return False
        self._answered += 1
        if not self._noted or self._noted[0][0] != self._answered:
            return False
        changed = False
        for stream, seq in self._noted.popleft()[1].items():
            if self.confirmed.get(stream, seq) != seq:  # lower where a client came with a position from the future
                self.confirmed[stream] = seq
                changed = True
        return changed

    def _forget(self, stream: str) -> None:
        for _number, positions in self._noted or ():
            positions.pop(stream, None)
