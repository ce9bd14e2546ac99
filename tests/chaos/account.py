"""What one client got (pure): its position in each stream, and every event that it accepted."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

Frame = dict[str, Any]

SKIPPED = 0  # an event that filled a gap: it is known that it is there, but not at which place


def read_id(event: Frame) -> int:
    """The id of the message or notification that an event brings. Of any other event, a negative number made of it."""
    data = event["data"]
    if event["type"] not in ("chat", "notification"):
        return ~crc32(json.dumps([event["type"], data], sort_keys=True).encode())
    return int(data["message_id"] if event["type"] == "chat" else data["id"])


@dataclass
class Account:
    """Keeps the rules of a client, next is accepted and old is dropped, and those of a socket: `seq` goes up by one.

    A socket goes back once, to where it was asked to replay from, and not after it went on: it is subscribed to its
    user's stream as soon as it is open, and the replay brings again what came too early. What is old for the client may
    be new on this socket: a session goes on from a position of the server's, and a server that does not hear the others
    at the moment is behind a client that comes from one of them.
    """

    events: dict[str, list[int]] = field(default_factory=dict)  # ids by stream; the place is `seq` - 1
    waiting: set[str] = field(default_factory=set)  # streams that are yet to go on over this socket
    last: dict[str, int] = field(default_factory=dict)  # the last `seq` of each stream on this socket
    starts: dict[str, int] = field(default_factory=dict)  # with which a replay may begin
    violations: list[str] = field(default_factory=list)
    repeats: int = 0
    early: int = 0
    fetched: int = 0

    def position(self, stream: str) -> int:
        return len(self.events.setdefault(stream, []))

    def positions(self, streams: Iterable[str]) -> dict[str, int]:
        return {stream: self.position(stream) for stream in streams}

    def begin(self, streams: Iterable[str]) -> None:
        """A new socket: nothing goes on yet."""
        self.waiting, self.last, self.starts = set(streams), {}, {}

    def expect_replay(self, positions: Mapping[str, int]) -> None:
        """What came after the positions is asked for."""
        self.starts = {stream: seq + 1 for stream, seq in positions.items()}

    def accept(self, stream: str, seq: int, message_id: int) -> bool:
        """Take an event; returns whether it was new."""
        last = self.last.get(stream, self.starts.get(stream, seq) - 1)
        if seq != last + 1 and self.starts.pop(stream, None) != seq:
            self.violations.append(f"{stream}: {seq} came after {last}")
        self.last[stream] = seq
        return self._keep(stream, seq, message_id)

    def _keep(self, stream: str, seq: int, message_id: int) -> bool:
        events = self.events.setdefault(stream, [])
        if seq == len(events) + 1:
            events.append(message_id)
            return True
        if seq > len(events):
            self.early += 1
        elif (known := events[seq - 1]) == SKIPPED:
            events[seq - 1] = message_id
        elif known != message_id:
            self.violations.append(f"{stream}/{seq} was message {known}, and is {message_id} now")
        else:
            self.repeats += 1
        return False

    def accept_history(self, stream: str, items: Iterable[Frame], until: int) -> None:
        """Take what REST gave in place of a replay; afterwards the position has to be `until`."""
        for item in sorted(items, key=lambda item: int(item["seq"])):
            if item["seq"] <= until:
                self.fetched += self._keep(stream, item["seq"], item["message_id"])

    def skip_to(self, stream: str, seq: int) -> None:
        """Everything up to `seq` was found in a list that does not say in which order it was sent."""
        events = self.events.setdefault(stream, [])
        events += [SKIPPED] * (seq - len(events))

    def go_on(self, stream: str, seq: int) -> None:
        """The server says that `seq` + 1 comes next: everything up to `seq` has been there."""
        if self.position(stream) < seq:
            self.violations.append(f"{stream} goes on after {seq}, but {self.position(stream)} is where it is")
        self.last[stream] = max(seq, self.last.get(stream, 0))
        self.starts.pop(stream, None)
        self.waiting.discard(stream)
