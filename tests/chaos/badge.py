"""The counts that one client of a reader shows (pure), as `docs/protocol.md` tells clients to count.

A frame with counts replaces them, and a `notification` adds one. Where a client cannot know whether the counts have a
notification already, the protocol has it ask; this one keeps both numbers that it may be.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.chaos.account import Frame

MOST_COUNTED = 100  # stands for more than 99
COUNTING = ("inbox", "notification_removed", "notifications_waiting")
SEEING = ("seen", "read")  # acts after which a notification has been seen


@dataclass(slots=True)
class Range:
    """The least and the most that a number may be."""

    least: int = 0
    most: int = 0

    def set(self, number: int) -> None:
        self.least = self.most = number

    def add(self, *, is_sure: bool = True) -> None:
        # More or less than very many is nothing that anybody is told.
        self.least = min(MOST_COUNTED, self.least + is_sure)
        self.most = min(MOST_COUNTED, self.most + 1)

    def has(self, number: int) -> bool:
        return self.least <= min(MOST_COUNTED, number) <= self.most

    def __str__(self) -> str:
        return f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"


@dataclass(slots=True)
class Badge:
    """What is told in the order of a reader's stream. Moments are texts of ISO 8601 in UTC, which sort by time."""

    unread: Range = field(default_factory=Range)
    unseen: Range = field(default_factory=Range)
    counted_at: str = ""  # the moment of the counts
    seen: dict[int, bool] = field(default_factory=dict)  # whether it was seen, by the id of a notification
    listed: dict[int, str] = field(default_factory=dict)  # when it had arrived, by the id of one that a list had

    def take(self, event: Frame) -> None:
        """An event of the reader's stream that follows those before it."""
        if event["type"] == "notification":
            self._add(event["data"], event["timestamp"])
        elif event["type"] in COUNTING:
            data = event["data"]
            self._replace(data, event["timestamp"])
            if data.get("act") in SEEING:
                self.seen.update(dict.fromkeys(data["notification_ids"], True))

    def take_list(self, counts: Frame, items: Iterable[Frame], moment: str) -> None:
        """A list that was loaded in place of events; it had come at this moment."""
        self._replace(counts, moment)
        for item in items:
            self.seen[item["id"]] = item["seen_at"] is not None
            self.listed[item["id"]] = item["arrived_at"]

    def _replace(self, counts: Frame, moment: str) -> None:
        self.unread.set(counts["unread"])
        self.unseen.set(counts["unseen"])
        self.counted_at = moment

    def _add(self, item: Frame, timestamp: str) -> None:
        """A new one, or a group that has grown: that one is unread still, and unseen again."""
        is_known, was_seen = item["id"] in self.seen, self.seen.get(item["id"], False)
        self.seen[item["id"]] = False
        # What the counts have came before them, and so did an older notification that is told of late. And the list may
        # have been ahead of counts that have come since.
        is_sure = timestamp > self.counted_at and (is_known or item["created_at"] > self.counted_at)
        is_sure = is_sure and item["arrived_at"] > self.listed.get(item["id"], "")
        if not is_sure or not is_known:
            self.unread.add(is_sure=is_sure)
        if not is_sure or not is_known or was_seen:
            # Nobody knows whether the act that has seen it came before it grew.
            self.unseen.add(is_sure=is_sure and not was_seen)
