"""Lists of the admin of both apps: what makes no sense is refused, and is no error of the server."""

from urllib.parse import quote, urlencode

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import DataError, NotSupportedError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from notifications.models import Delivery, Notification, Preference, Reader
from realtime.admin import RoomAdmin
from realtime.auth import bounded_lists
from realtime.models import Membership, Message, Room
from tests.people import make_user

pytestmark = pytest.mark.django_db

MODELS = ["realtime/room", "realtime/membership", "realtime/message"]
MODELS += [
    f"notifications/{name}"
    for name in ("notification", "dispatch", "announcement", "reader", "preference", "delivery", "jobrun")
]


ROOMS = "/admin/realtime/room/"


@pytest.fixture
def root():
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    return client


@pytest.mark.parametrize("model", MODELS)
def test_an_address_that_makes_no_sense_is_refused(root, model):
    page = f"/admin/{model}/"
    years = ["0", "1", "-1", "9999", "9" * 20, "9" * 5_000, "x", ""]
    for query in [{"q": "a\0b"}, {"id__exact": "\0"}, {"p": "\0"}, *({"created_at__year": year} for year in years)]:
        assert root.get(page, query).status_code == 400, query
    for query in [{"q": "\ufffd"}, {"p": "9" * 5_000}, {"p": "-1"}, {"o": "x.y"}]:
        assert root.get(page, query, follow=True).status_code == 200, query


HUGE = "9" * 20


@pytest.mark.parametrize("model", ["notifications/notification", "notifications/announcement", "realtime/room"])
@pytest.mark.parametrize(
    "query",
    [
        {"created_at__iso_year": "9999"},
        {"created_at__year__gte": "0"},
        {"created_at__year__lt": "9999"},
        {"created_at__date__year": "0"},
        {"created_at__year__in": "2025,0"},
    ],
    ids=urlencode,
)
def test_a_time_that_cannot_be_is_refused(root, model, query):
    assert root.get(f"/admin/{model}/", query).status_code == 400


@pytest.mark.parametrize("model", ["notifications/notification", "notifications/announcement"])
@pytest.mark.parametrize("query", [{"created_at__month": HUGE}, {"created_at__month": "1", "created_at__day": HUGE}])
def test_a_day_that_cannot_be_is_refused_where_dates_lead_to_the_list(root, model, query):
    assert root.get(f"/admin/{model}/", {"created_at__year": "2025", **query}).status_code == 400


@pytest.mark.parametrize("model", ["notifications/notification", "notifications/announcement", "realtime/room"])
@pytest.mark.parametrize(
    "query",
    [
        {"created_at__gte": "0001-01-01T00:00+14:00"},
        {"created_at__gte": "9999-12-31T23:59-05:00"},
        {"created_at__month": HUGE},
        {"id__in": HUGE},
        {"id__regex": "("},
        {"created_at__year__in": "2024,2025"},
    ],
    ids=urlencode,
)
def test_what_a_database_cannot_look_for_is_no_error_of_the_server(root, model, query):
    """Some databases can."""
    assert root.get(f"/admin/{model}/", query, follow=True).status_code in (200, 400)


@pytest.mark.parametrize("model", ["notifications/notification", "notifications/dispatch"])
def test_what_a_database_does_not_offer_is_no_error_of_the_server(root, model):
    """SQLite looks for nothing inside of JSON."""
    assert root.get(f"/admin/{model}/", {"data__contains": "x"}, follow=True).status_code in (200, 400)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("key", [HUGE, "-1", "0", "x", "a\0b", "\ufffd"])
def test_the_page_of_an_object_that_cannot_be_leads_away(root, model, key):
    """Also where the key is that of a user, as of a reader, for which Django does not look how large it is."""
    for page in ("change", "delete", "history"):
        assert root.get(f"/admin/{model}/{quote(key)}/{page}/").status_code in (302, 403)  # some are never deleted


@pytest.mark.parametrize("error", [DataError, NotSupportedError, OverflowError])
def test_other_errors_of_a_list_are_those_of_the_server(root, monkeypatch, error):
    def fail(*args):
        raise error

    monkeypatch.setattr(RoomAdmin, "get_queryset", fail)
    assert root.get(f"{ROOMS}?q=x").status_code == 400
    with pytest.raises(error):
        root.get(ROOMS)
    with pytest.raises(error):
        root.post(f"{ROOMS}?q=x", {"action": "delete_selected", "_selected_action": ["1"]})


@pytest.mark.parametrize("model", ["notifications/notification", "notifications/delivery", "realtime/room"])
@pytest.mark.parametrize("key", ["9" * 30, "9" * 5_000, "x", "a\0b", "", "1.5", "\ufffd"])
def test_a_row_that_cannot_be_is_refused(root, model, key):
    for action in ("export", "delete_selected", "retry_selected"):
        answer = root.post(f"/admin/{model}/", {"action": action, "_selected_action": ["1", key], "index": "0"})
        assert answer.status_code == 400


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("query", [{"created_at__year": "9998", "created_at__month": "12"}, {"created_at__year": "2"}])
def test_the_first_and_the_last_years_are_lists(root, model, query):
    assert root.get(f"/admin/{model}/", query, follow=True).status_code == 200


def fill(count):
    """So many rows in each table that may be large, but for its first one."""
    for number in range(count):
        user = make_user(f"user-{number}")
        room = Room.objects.create(slug=f"room-{number}")
        Membership.objects.create(room=room, user=user)
        Message.objects.create(room=room, sender=user, text="x", seq=1)
        told = Notification.objects.create(recipient=user, type="mention")
        Delivery.objects.create(notification=told, user=user, channel="mail", due_at=told.created_at)
        Reader.objects.create(user=user)
        Preference.objects.create(user=user, scope="type", key="mention", channel="mail", enabled=False)


LONG = ["realtime/room", "realtime/membership", "realtime/message"]
LONG += [f"notifications/{name}" for name in ("notification", "delivery", "reader", "preference")]


@pytest.mark.parametrize("model", LONG)
def test_no_page_counts_a_whole_table(root, model, monkeypatch):
    monkeypatch.setattr(bounded_lists, "MOST_LISTED", 3)
    fill(5)
    with CaptureQueriesContext(connection) as queries:
        answer = root.get(f"/admin/{model}/")
    table = f'FROM "{model.replace("/", "_")}"'
    assert [query["sql"] for query in queries if "COUNT(*)" in query["sql"] and table in query["sql"]] == []
    assert answer.context["cl"].result_count == 3
    assert "There are more than 3." in answer.content.decode()
    few = root.get(f"/admin/{model}/", {"q": "user-1"})
    assert "There are more than" not in few.content.decode()


def test_a_list_has_pages_up_to_its_end(root, monkeypatch):
    monkeypatch.setattr(bounded_lists, "MOST_LISTED", 3)
    monkeypatch.setattr("realtime.admin.RoomAdmin.list_per_page", 2)
    fill(5)
    pages = [root.get("/admin/realtime/room/", {"p": page}).context["cl"].result_list for page in (1, 2)]
    assert [[room.slug for room in page] for page in pages] == [["room-0", "room-1"], ["room-2"]]


@pytest.mark.parametrize(("most", "left"), [(3, ["room-3", "room-4"]), (5, [])])
def test_all_rows_are_those_that_the_list_has(root, monkeypatch, most, left):
    monkeypatch.setattr(bounded_lists, "MOST_LISTED", most)
    fill(5)
    monkeypatch.setattr("realtime.admin.RoomAdmin.sent", lambda self, request, rooms: rooms.delete(), raising=False)
    monkeypatch.setattr("realtime.admin.RoomAdmin.actions", ["sent"])
    form = {"action": "sent", "select_across": "1", ACTION_CHECKBOX_NAME: Room.objects.get(slug="room-0").pk}
    assert root.post("/admin/realtime/room/", form).status_code == 302
    assert list(Room.objects.values_list("slug", flat=True)) == left
