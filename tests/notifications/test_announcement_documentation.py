"""The examples of docs/notifications.md about announcements and about one person's data."""

import re
from typing import Any

import pytest

from bench.servers import ROOT
from notifications.announcements import audiences
from notifications.models import Announcement, AnnouncementState
from tests.notifications.announced import announce, report, titles

PAGE = (ROOT / "docs" / "notifications.md").read_text()
EXAMPLES = dict(re.findall(r"<!-- example:(\S+) -->\n```python\n(.*?)```", PAGE, re.S))

pytestmark = pytest.mark.django_db


def test_it_announces_and_cancels() -> None:
    exec(EXAMPLES["announce"], {})
    row = Announcement.objects.get()
    assert (row.state, row.level, row.dedupe_key) == ("cancelled", "warning", "maintenance-2030-01")
    assert set(row.texts.values_list("language", flat=True)) == {"en", "zh-hans"}


def test_it_registers_an_audience(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiences, "_audiences", {})
    exec(EXAMPLES["audience"], {})
    announce("for staff", audience="staff", for_newer=True)
    assert titles(alice) == []
    alice.is_staff = True
    alice.save()
    assert titles(alice) == ["for staff"]


def test_it_hands_out_and_erases(alice: Any) -> None:
    report(alice, announce("news", for_newer=True), "seen")
    names: dict[str, Any] = {"alice": alice}
    exec(EXAMPLES["personal"], names)
    assert [record["table"] for record in names["records"]] == ["announcementstate"]
    assert not AnnouncementState.objects.exists()
