"""The cascade, case by case: every combination of facts, against the table of the guide."""

import itertools
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from notifications.preferences.cascade import Decision, Facts, decide

SOON, LATER = datetime(2030, 1, 1, 7, tzinfo=UTC), datetime(2030, 1, 1, 9, tzinfo=UTC)
TABLE = Path(__file__).resolve().parents[2] / "docs" / "notifications.md"
VALUES: dict[str, list[Any]] = {
    "is_off_by_staff": [False, True],
    "is_silent": [False, True],
    "is_critical": [False, True],
    "channel": [True, False],
    "muted_until": [None, SOON, LATER],
    "quiet_until": [None, SOON, LATER],
    "type": [None, True, False],
    "category": [None, True, False],
    "is_channel_of_type": [True, False],
}
# The rules from the top, each with the facts for which it decides.
ROWS: list[tuple[str, Any]] = [
    ("staff", lambda f: f.is_off_by_staff),
    ("silent", lambda f: f.is_silent),
    ("critical", lambda f: f.is_critical),
    ("channel", lambda f: not f.channel),
    ("mute", lambda f: f.muted_until is not None and (f.quiet_until is None or f.muted_until >= f.quiet_until)),
    ("quiet_hours", lambda f: f.quiet_until is not None),
    ("type", lambda f: f.type is not None),
    ("category", lambda f: f.category is not None),
    ("default", lambda f: True),
]
VERDICTS: dict[str, Any] = {
    "staff": lambda f: Decision("off", "staff"),
    "silent": lambda f: Decision("off", "silent"),
    "critical": lambda f: Decision("send" if f.is_channel_of_type else "off", "critical"),
    "channel": lambda f: Decision("off", "channel"),
    "mute": lambda f: Decision("defer", "mute", f.muted_until),
    "quiet_hours": lambda f: Decision("defer", "quiet_hours", f.quiet_until),
    "type": lambda f: Decision("send" if f.type else "off", "type"),
    "category": lambda f: Decision("send" if f.category else "off", "category"),
    "default": lambda f: Decision("send" if f.is_channel_of_type else "off", "default"),
}
CASES = [Facts(**dict(zip(VALUES, values, strict=True))) for values in itertools.product(*VALUES.values())]


def test_every_case() -> None:
    assert len(CASES) == 2_592
    for facts in CASES:
        rule = next(name for name, applies in ROWS if applies(facts))
        assert decide(facts) == VERDICTS[rule](facts), facts


@pytest.mark.parametrize("rule", [name for name, _ in ROWS])
def test_every_rule_decides_something(rule: str) -> None:
    assert any(decide(facts).rule == rule for facts in CASES)


def test_what_is_deferred_has_an_end_and_nothing_else_has() -> None:
    for facts in CASES:
        decision = decide(facts)
        assert (decision.until is not None) == (decision.verdict == "defer")
        assert decision.is_sent == (decision.verdict == "send")


def test_the_guide_has_the_same_table() -> None:
    section = TABLE.read_text().split("<!-- cascade -->")[1].split("<!-- end -->")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.M) == [name for name, _ in ROWS]
