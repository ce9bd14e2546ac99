"""Lists of the admin of both apps: what makes no sense is refused, and is no error of the server."""

import pytest
from django.test import Client

from tests.people import make_user

pytestmark = pytest.mark.django_db

MODELS = ["realtime/room", "realtime/membership", "realtime/message"]
MODELS += [
    f"notifications/{name}"
    for name in ("notification", "dispatch", "announcement", "reader", "preference", "delivery", "jobrun")
]


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
