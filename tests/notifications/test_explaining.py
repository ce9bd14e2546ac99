"""Why a notification came, or did not, on each channel: for its reader and for staff."""

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.utils.translation import override
from rest_framework.test import APIClient

from notifications import aexplain, explain, inbox, mute, waking
from notifications.models import Delivery, Notification
from notifications.preferences.explaining import TEXTS
from realtime.models import Room
from tests.notifications.choices import MIDNIGHT, NIGHT, NOON, choose, register
from tests.notifications.mails import SITE, Office, states
from tests.notifications.rows import sent
from tests.people import client_for

pytestmark = pytest.mark.django_db


def why(row: Notification, channel: str) -> tuple[str, str]:
    """The verdict and the rule on a channel."""
    row.refresh_from_db()
    found = {explanation.channel: explanation for explanation in explain(row, row.recipient)}
    assert list(found) == ["socket", "mail", "web_push"]
    return found[channel].verdict, found[channel].rule  # type: ignore[index]


def text_of(row: Notification, channel: str) -> str:
    row.refresh_from_db()
    return next(found.text for found in explain(row, row.recipient) if found.channel == channel)


def test_by_default(office: Office, erin: Any) -> None:
    row = sent(erin, "mention", message="hello")
    assert why(row, "socket") == ("sent", "default")
    assert why(row, "mail") == ("waiting", "away")
    office.send(minutes=5)
    assert why(row, "mail") == ("sent", "default")
    assert why(row, "web_push") == ("off", "site")


def test_a_site_without_mails(erin: Any) -> None:
    row = sent(erin, "mention", message="hello")
    assert why(row, "mail") == ("off", "site")


@pytest.mark.parametrize("channel", ["socket", "mail"])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (lambda channel: {channel: False}, ("off", "channel")),
        (lambda channel: {"types": {"mention": {channel: False}}}, ("off", "type")),
        (lambda channel: {"types": {"mention": {channel: True}}}, ("sent", "type")),
        (lambda channel: {"categories": {"social": {channel: False}}}, ("off", "category")),
        (lambda channel: {"categories": {"social": {channel: True}}}, ("sent", "category")),
    ],
)
def test_what_the_reader_has_chosen(
    office: Office, erin: Any, changes: Any, expected: tuple[str, str], channel: str
) -> None:
    choose(erin, **changes(channel))
    row = sent(erin, "mention", message="hello")
    office.send(minutes=5)
    assert why(row, channel) == expected


def test_what_was_pushed_stays_so(erin: Any) -> None:
    row = sent(erin, "mention", message="hello")
    choose(erin, socket=False)
    assert why(row, "socket") == ("sent", "default")


@pytest.mark.parametrize("scope", ["types", "categories"])
@pytest.mark.parametrize("later", [False, None])
def test_what_the_reader_chose_later_explains_nothing(
    office: Office, erin: Any, scope: str, later: bool | None
) -> None:
    key, rule = {"types": ("mention", "type"), "categories": ("social", "category")}[scope]
    choose(erin, **{scope: {key: {"socket": True, "mail": True}}})
    row = sent(erin, "mention", message="hello")
    office.send(minutes=5)
    choose(erin, **{scope: {key: {"socket": later, "mail": later}}})
    assert (why(row, "socket"), why(row, "mail")) == (("sent", rule), ("sent", rule))


@pytest.mark.parametrize(
    ("then", "rule"),
    [
        ({"mail": False}, "channel"),
        ({"types": {"mention": {"mail": False}}}, "type"),
        ({"categories": {"social": {"mail": False}}}, "category"),
    ],
)
def test_a_mail_that_was_not_wanted_when_it_came(office: Office, erin: Any, then: Any, rule: str) -> None:
    choose(erin, **then)
    row = sent(erin, "mention", message="hello")
    choose(erin, mail=True, types={"mention": {"mail": True}})
    assert (office.send(minutes=5), states()) == ([], [("suppressed", rule)])
    assert why(row, "mail") == ("off", rule)


def test_a_group_that_grows_is_mailed_if_that_is_wanted_by_then(office: Office, erin: Any) -> None:
    choose(erin, types={"mention": {"mail": False, "socket": True}})
    row = sent(erin, "mention", message="hello", group_key="talk")
    choose(erin, types={"mention": {"mail": None, "socket": None}})
    assert sent(erin, "mention", message="again", group_key="talk") == row
    assert why(row, "socket") == ("sent", "default")
    assert len(office.send(minutes=5)) == 1
    assert why(row, "mail") == ("sent", "default")


def test_one_that_comes_back_is_pushed_for_what_holds_then(office: Office, erin: Any) -> None:
    choose(erin, types={"mention": {"socket": False}})
    row = sent(erin, "mention", message="hello")
    assert why(row, "socket") == ("off", "type")
    choose(erin, types={"mention": {"socket": True}})
    inbox.act(erin.pk, "snooze", ids=[row.pk], until=office.time.now + timedelta(hours=1))
    waking.wake(office.time.pass_by(hours=1))
    assert why(row, "socket") == ("sent", "type")


def test_a_site_that_sends_mails_only_now(erin: Any, settings: Any) -> None:
    """Nothing was noted then: no rule is named, and nothing false is said."""
    row = sent(erin, "mention", message="hello")
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, **SITE}
    assert why(row, "mail") == ("off", "unknown")
    Notification.objects.update(pushed_by="")  # as before rules were noted
    assert why(row, "socket") == ("sent", "unknown")


def test_a_type_that_is_not_mailed(office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "hint", channels=["socket"])
    row = sent(erin, "hint")
    choose(erin, types={"hint": {"mail": True}})
    assert why(row, "mail") == ("off", "default")


def test_quiet_hours(office: Office, erin: Any) -> None:
    office.time.set(MIDNIGHT)
    choose(erin, quiet_hours=[NIGHT])
    row = sent(erin, "mention", message="hello")
    assert why(row, "socket") == ("waiting", "quiet_hours")
    assert text_of(row, "socket") == "The reader has quiet hours until 2030-01-16 07:00."
    office.send(minutes=5)
    assert why(row, "mail") == ("waiting", "quiet_hours")
    Notification.objects.update(withheld_until=None)
    assert why(row, "socket") == ("off", "quiet_hours")


def test_mutes(office: Office, erin: Any) -> None:
    room = Room.objects.create(slug="lunch")
    mute(erin, room, NOON + timedelta(days=1))
    row = sent(erin, "mention", message="hello", target=room)
    assert why(row, "socket") == ("waiting", "mute")
    mute(erin, room)
    row = sent(erin, "mention", message="hello", target=room)
    assert why(row, "socket") == ("off", "mute")
    office.send(minutes=5)
    assert why(row, "mail") == ("off", "mute")


def test_what_is_critical_or_silent(office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "alarm", critical=True, channels=["socket"])
    row = sent(erin, "alarm")
    assert (why(row, "socket"), why(row, "mail")) == (("sent", "critical"), ("off", "critical"))
    register(monkeypatch, "whisper", silent=True)
    for row in (sent(erin, "mention", message="hello", silent=True), sent(erin, "whisper")):
        assert (why(row, "socket"), why(row, "mail")) == (("off", "silent"), ("off", "silent"))


def test_who_was_there(office: Office, erin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.integration.find_present", lambda stream, keys: frozenset(keys))
    row = sent(erin, "mention", message="hello", unless_present="room.general")
    assert (why(row, "socket"), why(row, "mail")) == (("off", "present"), ("off", "present"))


def test_too_many(erin: Any, settings: Any) -> None:
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "PUSHES_PER_MINUTE": 1}
    sent(erin, "mention", message="hello")
    row = sent(erin, "mention", message="hello")
    assert why(row, "socket") == ("waiting", "limit")


@pytest.mark.parametrize("act", ["read", "archive"])
def test_what_has_become_of_a_mail(office: Office, erin: Any, act: Any) -> None:
    row = sent(erin, "mention", message="hello")
    inbox.act(erin.pk, act)
    office.send(minutes=5)
    assert why(row, "mail") == ("off", {"read": "read", "archive": "archived"}[act])


@pytest.mark.parametrize("state", ["failed", "bounced"])
def test_a_mail_that_did_not_arrive(office: Office, erin: Any, state: str) -> None:
    row = sent(erin, "mention", message="hello")
    Delivery.objects.update(state=state)
    assert why(row, "mail") == ("off", state)


def test_every_reason_of_a_mail_has_a_text(office: Office, erin: Any) -> None:
    """Whatever `checking` and `sending` write on deliveries is in the table."""
    reasons = {reason for _, reason in TEXTS}
    assert {"online", "digest", "snoozed", "waiting", "presence", "inactive", "no_address", "expired"} <= reasons
    row = sent(erin, "mention", message="hello")
    office.online.add(erin.pk)
    office.send(minutes=5)
    assert states() == [("queued", "online")]
    assert text_of(row, "mail") == "The reader is here, or was so until a moment ago."


def test_every_text_in_chinese() -> None:
    with override("zh-hans"):
        assert not [key for key, text in TEXTS.items() if str(text).isascii()]


def test_only_of_the_reader(erin: Any, alice: Any) -> None:
    row = sent(erin, "mention", message="hello")
    with pytest.raises(ValueError, match="reader"):
        explain(row, alice)
    assert explain(row, erin.pk) == explain(row, erin)


@pytest.mark.django_db(transaction=True)
async def test_asynchronously(erin: Any) -> None:
    row = await sync_to_async(sent)(erin, "mention", message="hello")
    assert [found.channel for found in await aexplain(row, erin)] == ["socket", "mail", "web_push"]


# Over REST


def test_it_is_told_to_its_reader_alone(office: Office, erin: Any, alice: Any) -> None:
    row = sent(erin, "mention", message="hello", reason="mentioned")
    choose(erin, types={"mention": {"mail": False}})
    office.send(minutes=5)
    url = f"/api/v1/notifications/{row.pk}/explain"
    answer = client_for(erin).get(url)
    assert answer.status_code == 200
    assert answer.json() == {
        "reason": "mentioned",
        "channels": [
            {
                "channel": "socket",
                "verdict": "sent",
                "rule": "default",
                "until": None,
                "text": "This type is sent in this way, and the reader had chosen nothing else.",
            },
            {
                "channel": "mail",
                "verdict": "off",
                "rule": "type",
                "until": None,
                "text": "The reader had switched this type off.",
            },
            {
                "channel": "web_push",
                "verdict": "off",
                "rule": "site",
                "until": None,
                "text": "This site sends nothing in this way.",
            },
        ],
    }
    assert client_for(alice).get(url).status_code == 404
    assert APIClient().get(url).status_code == 401
    for wrong in (0, row.pk + 1, 10**30):
        assert client_for(erin).get(f"/api/v1/notifications/{wrong}/explain").status_code == 404
    inbox.act(erin.pk, "delete")
    assert client_for(erin).get(url).json()["code"] == "NOT_FOUND"
