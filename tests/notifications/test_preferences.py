"""What readers choose, over REST and from site code."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers
from rest_framework.test import APIClient

from notifications.models import Delivery, Preference, Reader, TypeSwitch
from notifications.preferences import changing, store
from notifications.preferences.quiet import zone_names
from tests.notifications.choices import NIGHT, NOON, Time, choose, register
from tests.notifications.mails import Office
from tests.notifications.rows import sent
from tests.people import client_for
from tests.racing import at_once

pytestmark = pytest.mark.django_db
URL = "/api/v1/notifications/preferences"
UNCHOSEN = {"socket": None, "mail": None, "web_push": None}


@pytest.fixture
def hers(alice: Any) -> APIClient:
    return client_for(alice)


def patch(client: APIClient, changes: Any, status: int = 200) -> Any:
    answer = client.patch(URL, changes)
    assert answer.status_code == status, answer.content
    return answer.json()


def category(shown: Any, key: str) -> Any:
    return next(found for found in shown["categories"] if found["key"] == key)


def kind(shown: Any, key: str) -> Any:
    return next(found for group in shown["categories"] for found in group["types"] if found["key"] == key)


def test_who_has_chosen_nothing(hers: APIClient) -> None:
    answer = hers.get(URL)
    assert answer.status_code == 200
    shown = answer.json()
    assert {key: value for key, value in shown.items() if key != "categories"} == {
        "channels": {"socket": True, "mail": True, "web_push": False},
        "muted_until": None,
        "time_zone": "",
        "quiet_hours": [],
        "digest": {"every": "off", "hour": 8, "weekday": 1},
        "away_minutes": None,
        "mail_refused": "",
    }
    assert [found["key"] for found in shown["categories"]] == ["social", "orders"]
    assert category(shown, "social")["label"] == "People"
    assert kind(shown, "order_status_changed") == {
        "key": "order_status_changed",
        "label": "Order …",
        "critical": False,
        "chosen": UNCHOSEN,
        "now": {"socket": True, "mail": True, "web_push": False},
    }
    assert not Reader.objects.exists()


def test_in_the_language_of_the_request(hers: APIClient) -> None:
    shown = hers.get(URL, headers={"accept-language": "zh-hans"}).json()
    assert category(shown, "social")["label"] == "成员"
    assert kind(shown, "mention")["label"] == "新提及"


CHANGES: list[dict[str, Any]] = [
    {"channels": {"mail": False, "web_push": True}},
    {"muted_until": "2030-01-31T08:00:00.000000Z"},
    {"time_zone": "Asia/Shanghai"},
    {"quiet_hours": [NIGHT, {"days": [6], "start": "12:00", "end": "12:00"}]},
    {"digest": {"every": "weekly", "hour": 0, "weekday": 7}},
    {"away_minutes": 0},
]


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: next(iter(changes)))
def test_one_thing_changes_and_the_rest_stays(hers: APIClient, changes: dict[str, Any]) -> None:
    before = hers.get(URL).json()
    after = patch(hers, changes)
    ((name, value),) = changes.items()
    expected = {**before[name], **value} if isinstance(value, dict) else value
    assert after[name] == expected
    rest = {"categories", name}
    assert {k: v for k, v in after.items() if k not in rest} == {k: v for k, v in before.items() if k not in rest}
    assert hers.get(URL).json() == after


def test_types_and_categories(hers: APIClient, alice: Any) -> None:
    shown = patch(
        hers, {"types": {"mention": {"mail": False}}, "categories": {"social": {"socket": False, "mail": True}}}
    )
    assert category(shown, "social")["chosen"] == {"socket": False, "mail": True, "web_push": None}
    assert kind(shown, "mention")["chosen"] == {"socket": None, "mail": False, "web_push": None}
    assert kind(shown, "mention")["now"] == {"socket": False, "mail": False, "web_push": False}
    assert kind(shown, "new_like")["now"] == {"socket": False, "mail": True, "web_push": False}
    shown = patch(hers, {"types": {"mention": {"mail": None, "web_push": None}}})
    assert kind(shown, "mention")["chosen"] == UNCHOSEN
    assert Preference.objects.filter(user=alice).count() == 2


@pytest.mark.parametrize("part", ["muted_until", "away_minutes"])
def test_null_takes_a_choice_back(hers: APIClient, part: str) -> None:
    patch(hers, {"muted_until": "2030-01-31T08:00:00Z", "away_minutes": 60})
    assert patch(hers, {part: None})[part] is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"chanels": {"mail": False}}, "chanels"),
        ({"channels": {"email": False}}, "channels"),
        ({"channels": {"mail": None}}, "channels"),
        ({"channels": {"mail": "maybe"}}, "channels"),
        ({"muted_until": "tomorrow"}, "muted_until"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/localtime"}, "time_zone"),
        ({"time_zone": None}, "time_zone"),
        ({"quiet_hours": {}}, "quiet_hours"),
        ({"quiet_hours": [NIGHT] * 21}, "quiet_hours"),
        ({"quiet_hours": [{**NIGHT, "start": "24:00"}]}, "quiet_hours"),
        ({"quiet_hours": [{**NIGHT, "start": "22:0\u0966"}]}, "quiet_hours"),  # a zero of another script
        ({"quiet_hours": [{**NIGHT, "end": "07:0\uff10"}]}, "quiet_hours"),
        ({"quiet_hours": [{**NIGHT, "days": []}]}, "quiet_hours"),
        ({"quiet_hours": [{**NIGHT, "days": [0]}]}, "quiet_hours"),
        ({"quiet_hours": [{**NIGHT, "zone": "UTC"}]}, "quiet_hours"),
        ({"digest": {"every": "minutely"}}, "digest"),
        ({"digest": {"hour": 24}}, "digest"),
        ({"digest": {"weekday": 0}}, "digest"),
        ({"away_minutes": -1}, "away_minutes"),
        ({"away_minutes": 10_081}, "away_minutes"),
        ({"types": {"unheard_of": {"mail": False}}}, "types"),
        ({"types": {"mention": {"fax": False}}}, "types"),
        ({"types": {"mention": False}}, "types"),
        ({"types": {"mention": {"mail": ""}}}, "types"),
        ({"types": []}, "types"),
        ({"categories": {"mention": {"mail": False}}}, "categories"),
        ([], "non_field_errors"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_changes(hers: APIClient, changes: Any, field: str) -> None:
    if isinstance(changes, dict):
        changes = {"channels": {"socket": False}, **changes}
    answer = patch(hers, changes, 400)
    assert answer["code"] == "INVALID_MESSAGE"
    assert field in answer["errors"]
    assert not Reader.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"types": {f"type{number}": {"mail": False} for number in range(10_000)}}, "types"),
        ({"quiet_hours": [{**NIGHT, "days": [1] * 10_000}]}, "quiet_hours"),
    ],
)
def test_the_entries_of_what_is_too_long_are_not_looked_at(
    hers: APIClient, changes: Any, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for kind in (serializers.IntegerField, serializers.BooleanField):
        monkeypatch.setattr(kind, "to_internal_value", lambda self, data: seen.append(data))
    assert list(patch(hers, changes, 400)["errors"]) == [field]
    assert seen == []


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T00:00:00.000000Z"),
        ("9999-12-31T00:00:00Z", "9999-12-31T00:00:00.000000Z"),
        ("2100-01-01T00:00:00Z", "2100-01-01T00:00:00.000000Z"),
        ("0001-01-01T00:00:00Z", None),
        ("2020-01-01T00:00:00Z", None),
    ],
)
def test_a_mute_can_be_shown_in_every_time_zone(
    hers: APIClient, admin_client: Client, settings: Any, zone: str, given: str, stored: str | None
) -> None:
    settings.TIME_ZONE = zone
    assert patch(hers, {"muted_until": given})["muted_until"] == stored
    assert admin_client.get("/admin/notifications/reader/").status_code == 200


def test_a_mute_that_is_over_is_none(hers: APIClient, alice: Any, time: Time) -> None:
    choose(alice, muted_until=NOON + timedelta(hours=1))
    assert hers.get(URL).json()["muted_until"] == "2030-01-16T13:00:00.000000Z"
    time.pass_by(hours=1)
    assert hers.get(URL).json()["muted_until"] is None


def test_everybody_has_their_own(hers: APIClient, bob: Any) -> None:
    patch(hers, {"channels": {"mail": False}})
    assert client_for(bob).get(URL).json()["channels"]["mail"] is True
    for method in ("get", "patch"):
        assert getattr(APIClient(), method)(URL).status_code == 401
    assert hers.post(URL).status_code == 405


def test_what_is_critical_is_marked(hers: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "alarm", critical=True, category="social")
    shown = patch(hers, {"channels": {"socket": False}, "types": {"alarm": {"mail": False}}})
    assert kind(shown, "alarm")["critical"] is True
    assert kind(shown, "alarm")["now"] == {"socket": True, "mail": True, "web_push": False}


def test_what_staff_have_switched_off_does_not_hold(hers: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "alarm", critical=True, category="social")
    patch(hers, {"types": {"mention": {"mail": True}}})
    for key in ("mention", "alarm"):
        TypeSwitch.objects.create(type=key)
    TypeSwitch.objects.create(type="new_like", off=False)
    shown = hers.get(URL).json()
    off = {"socket": False, "mail": False, "web_push": False}
    assert (kind(shown, "mention")["now"], kind(shown, "alarm")["now"]) == (off, off)
    assert kind(shown, "mention")["chosen"] == UNCHOSEN | {"mail": True}
    assert kind(shown, "new_like")["now"] == {"socket": True, "mail": True, "web_push": False}


def test_who_wants_mails_again_is_believed(hers: APIClient, alice: Any) -> None:
    type(alice).objects.update(email="Alice@example.org")
    Reader.objects.create(user=alice, bounced_address="alice@example.org")
    assert hers.get(URL).json()["mail_refused"] == "alice@example.org"
    assert patch(hers, {"channels": {"socket": True}})["mail_refused"] == "alice@example.org"
    assert patch(hers, {"channels": {"mail": True}})["mail_refused"] == ""


def test_an_address_that_was_refused_is_named_as_long_as_it_is_the_users(hers: APIClient, alice: Any) -> None:
    Reader.objects.create(user=alice, bounced_address="old@example.org")
    for address, refused in (("old@example.org", "old@example.org"), ("new@example.org", ""), ("", "")):
        type(alice).objects.update(email=address)
        assert hers.get(URL).json()["mail_refused"] == refused


def test_without_time_zones(hers: APIClient, settings: Any) -> None:
    settings.USE_TZ = False
    settings.TIME_ZONE = "Asia/Shanghai"
    assert patch(hers, {"muted_until": "2030-01-31T08:00:00Z"})["muted_until"] == "2030-01-31T08:00:00.000000Z"
    assert hers.get(URL).json()["muted_until"] == "2030-01-31T08:00:00.000000Z"
    assert patch(hers, {"muted_until": "9999-12-31T23:59:59Z"})["muted_until"] == "9999-12-31T00:00:00.000000Z"


# From site code


def test_site_code_changes_them(alice: Any) -> None:
    changing.change(alice, digest="daily", types={"mention": {"mail": True}})
    changing.change(alice.pk, digest_hour=7)
    reader = Reader.objects.get(user=alice)
    assert (reader.digest, reader.digest_hour, reader.mail) == ("daily", 7, True)
    for wrong in (None, "nobody", object()):
        with pytest.raises(TypeError):
            changing.change(wrong, mail=False)


def test_what_waits_is_decided_again(office: Office, erin: Any) -> None:
    choose(erin, muted_until=NOON + timedelta(days=1))
    row = sent(erin, "mention", message="hello")
    office.send(minutes=5)
    assert Delivery.objects.get().due_at == NOON + timedelta(days=1)
    choose(erin, muted_until=None)
    row.refresh_from_db()
    assert row.withheld_until == Delivery.objects.get().due_at == office.time.now


@pytest.mark.parametrize("nothing", [{}, {"types": {}}, {"categories": {"social": {}}, "channels": {}, "digest": {}}])
def test_who_changes_nothing_locks_nothing(
    hers: APIClient, alice: Any, django_assert_num_queries: Any, nothing: dict[str, Any]
) -> None:
    shown = hers.get(URL).json()
    with CaptureQueriesContext(connection) as looking:
        hers.get(URL)
    with django_assert_num_queries(len(looking)):
        assert patch(hers, nothing) == shown


def test_what_is_wrong_in_a_row_is_left_out(alice: Any, time: Time) -> None:
    Reader.objects.create(user=alice, time_zone="Mars/Olympus", quiet_hours=["nonsense"])
    choices = store.load([alice.pk])[alice.pk]
    assert (str(choices.zone), choices.quiet) == ("UTC", ())
    sent(alice, "mention", message="hello")
    assert client_for(alice).get(URL).json()["quiet_hours"] == []


def test_a_row_with_a_time_in_other_digits_stops_nothing(alice: Any, bob: Any, time: Time) -> None:
    Reader.objects.create(user=alice, quiet_hours=[{**NIGHT, "start": "22:0\u0966"}])
    assert store.load([alice.pk, bob.pk])[alice.pk].quiet == ()
    for reader in (alice, bob):
        sent(reader, "mention", message="hello")


def test_a_form_changes_what_is_no_object(alice: Any, hers: APIClient) -> None:
    assert hers.patch(URL, {"time_zone": "UTC"}, format="multipart").json()["time_zone"] == "UTC"
    for field in ("channels.mail", "channels", "types", "quiet_hours"):
        answer = hers.patch(URL, {field: "false"}, format="multipart")
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert Reader.objects.get().mail is True


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_zone", "Mars/Olympus"),
        ("quiet_hours", [{"days": [9], "start": "1", "end": "2"}]),
        ("digest", "never"),
        ("away_minutes", 10**10),
    ],
)
def test_a_form_refuses_it(alice: Any, field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as error:
        Reader(user=alice, **{field: value}).full_clean()
    assert set(error.value.message_dict) == {field}


def test_there_are_time_zones() -> None:
    assert {"Europe/Berlin", "Asia/Shanghai", "UTC"} <= zone_names()
    assert "localtime" not in zone_names()


@pytest.mark.django_db(transaction=True)
def test_two_devices_change_different_things(alice: Any) -> None:
    channels = ("socket", "mail", "web_push")
    each = [partial(changing.change, alice, types={"mention": {channel: False}}) for channel in channels]
    each += [partial(changing.change, alice, **{channel: False}) for channel in channels]
    assert at_once(*each) == [None] * 6
    assert Preference.objects.filter(user=alice, enabled=False).count() == 3
    reader = Reader.objects.get(user=alice)
    assert (reader.socket, reader.mail, reader.web_push) == (False, False, False)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"time_zone": "Europe/Berln"}, ValidationError),
        ({"quiet_hours": [{"days": [1], "start": "22:00"}]}, ValidationError),
        ({"digest": "dayly"}, ValidationError),
        ({"digest_hour": -1}, ValidationError),
        ({"digest_hour": 24}, ValidationError),
        ({"digest_weekday": 0}, ValidationError),
        ({"digest_weekday": 8}, ValidationError),
        ({"away_minutes": -1}, ValidationError),
        ({"away_minutes": 10_081}, ValidationError),
        ({"mail": None}, ValidationError),
        ({"mails": False}, TypeError),
        ({"user_id": 1}, TypeError),
        ({"types": {"mention": {"mial": False}}}, ValueError),
        ({"categories": {"social": {"post": True}}}, ValueError),
    ],
)
def test_site_code_cannot_choose_what_there_is_not(bob: Any, changes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        choose(bob, **changes)
    assert not Reader.objects.exists()


def test_site_code_chooses_what_there_is(bob: Any) -> None:
    choose(bob, time_zone="", quiet_hours=[], away_minutes=None, muted_until=None, digest="weekly", digest_weekday=7)
    assert Reader.objects.get().digest == "weekly"


def test_site_code_takes_quiet_hours_back_with_none(bob: Any) -> None:
    choose(bob, quiet_hours=[NIGHT])
    choose(bob, quiet_hours=None)
    assert Reader.objects.get().quiet_hours == []
