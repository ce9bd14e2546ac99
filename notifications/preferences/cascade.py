"""The cascade: which rule decides whether, and when, a notification reaches its reader on one channel. Pure.

docs/notifications.md has it as a table. Called by `deciding` with what is stored, and by the tests with every case.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

# The first three are decided before any reader's wishes count; `limit` comes after the cascade, for pushes.
Rule = Literal[
    "staff",
    "silent",
    "present",
    "critical",
    "channel",
    "mute",
    "quiet_hours",
    "type",
    "category",
    "default",
    "limit",
]
Verdict = Literal["send", "defer", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What counts for one notification, one reader and one channel. A choice that nobody has made is None.

    `muted_until` and `quiet_until` are None unless they lie in the future.
    """

    is_channel_of_type: bool  # the type is sent on this channel unless somebody chooses otherwise
    is_off_by_staff: bool = False
    is_silent: bool = False
    is_critical: bool = False
    channel: bool = True  # the reader's switch for the whole channel
    muted_until: datetime | None = None
    quiet_until: datetime | None = None
    type: bool | None = None
    category: bool | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`until` is when a deferred notification is decided again."""

    verdict: Verdict
    rule: Rule
    until: datetime | None = None

    @property
    def is_sent(self) -> bool:
        return self.verdict == "send"


def decide(facts: Facts) -> Decision:
    """The first rule that applies, from the top."""
    if facts.is_off_by_staff:
        return Decision("off", "staff")
    if facts.is_silent:
        return Decision("off", "silent")
    if facts.is_critical:
        return _switched(facts.is_channel_of_type, "critical")
    if not facts.channel:
        return Decision("off", "channel")
    if facts.muted_until is not None or facts.quiet_until is not None:
        return _deferred(facts.muted_until, facts.quiet_until)
    if facts.type is not None:
        return _switched(facts.type, "type")
    if facts.category is not None:
        return _switched(facts.category, "category")
    return _switched(facts.is_channel_of_type, "default")


def _switched(on: bool, rule: Rule) -> Decision:
    return Decision("send" if on else "off", rule)


def _deferred(muted_until: datetime | None, quiet_until: datetime | None) -> Decision:
    """Whichever of the two ends later."""
    if muted_until is not None and (quiet_until is None or muted_until >= quiet_until):
        return Decision("defer", "mute", muted_until)
    return Decision("defer", "quiet_hours", quiet_until)
