"""What one client got (pure): its position in each stream, and every event that it accepted."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Frame = dict[str, Any]


@dataclass
class Account:
    """Keeps the rules of a client: next is accepted, old is dropped, a hole is the server's fault.

    A hole is no fault in a stream that is yet to be resumed (`waiting`): the socket is subscribed to its user's stream
    as soon as it is open, and the replay brings again what came too early.
    """

    events: dict[str, list[int]] = field(default_factory=dict)  # message ids by stream; the place is `seq` - 1
    waiting: set[str] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)
    repeats: int = 0
    early: int = 0
    fetched: int = 0

    def position(self, stream: str) -> int:
        return len(self.events.setdefault(stream, []))

    def positions(self, streams: Iterable[str]) -> dict[str, int]:
        return {stream: self.position(stream) for stream in streams}

    def accept(self, stream: str, seq: int, message_id: int) -> bool:
        """Take an event; returns whether it was new."""
        position = self.position(stream)
        if seq == position + 1:
            self.events[stream].append(message_id)
            return True
        if seq > position:
            self._note_hole(stream, position, seq)
        elif self.events[stream][seq - 1] != message_id:
            known = self.events[stream][seq - 1]
            self.violations.append(f"{stream}/{seq} was message {known}, and is {message_id} now")
        else:
            self.repeats += 1
        return False

    def _note_hole(self, stream: str, position: int, seq: int) -> None:
        if stream in self.waiting:
            self.early += 1
        else:
            self.violations.append(f"{stream}: {seq} came after {position}")

    def accept_history(self, stream: str, items: Iterable[Frame], until: int) -> None:
        """Take what REST gave in place of a replay; afterwards the position has to be `until`."""
        for item in sorted(items, key=lambda item: int(item["seq"])):
            if item["seq"] <= until:
                self.fetched += self.accept(stream, item["seq"], item["message_id"])
        self.require(stream, until, "the history was loaded")

    def require(self, stream: str, seq: int, why: str) -> None:
        """Everything up to `seq` has been there."""
        if self.position(stream) < seq:
            self.violations.append(f"{stream}: {why}, up to {seq}, but {self.position(stream)} is where it is")
        self.waiting.discard(stream)
