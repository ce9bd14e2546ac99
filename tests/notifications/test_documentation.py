"""The examples of docs/notifications.md, run in a small site; and its table of settings."""

import ast
import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from textwrap import indent

import pytest

from bench.servers import ROOT
from notifications import announce, notify
from notifications.conf import Settings
from notifications.mailing import reasons
from notifications.mailing.queue import TAKEN_BACK
from notifications.models import Delivery
from notifications.types import NotificationType
from notifications.web_push import WebPush
from tests.sites.processes import Postgres
from tests.sites.small import SITE, SmallSite

PAGE = (ROOT / "docs" / "notifications.md").read_text()
FILES = dict(re.findall(r"<!-- (shop/\S+) -->\n```python\n(.*?)```", PAGE, re.S))
EXAMPLES = dict(re.findall(r"<!-- example:(\S+) -->\n```python\n(.*?)```", PAGE, re.S))
ROW = re.compile(r"^\| `([A-Z_]+)` \| `(.+?)` \| (.+) \|$", re.M)

SHOP = {
    "shop/__init__.py": "",
    "shop/models.py": """
from django.conf import settings
from django.db import models

class Order(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    number = models.CharField(max_length=20)
    status = models.CharField(max_length=20, default="draft")

class Subscription(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    info = models.JSONField(default=dict)
""",
    "pywebpush.py": """
sent = []

class WebPushException(Exception):
    def __init__(self, message, response=None):
        super().__init__(message)
        self.response = response

def webpush(info, text, **options):
    if code := info.get("answer"):
        raise WebPushException("refused", response=type("Response", (), {"status_code": code}))
    sent.append((info, text))
""",
    "pytest.ini": """
[pytest]
DJANGO_SETTINGS_MODULE = mysite.settings
asyncio_default_fixture_loop_scope = function
""",
    "mysite/settings.py": SITE["mysite/settings.py"].replace('"notifications",', '"notifications", "shop",'),
    "mysite/urls.py": """
from django.urls import include, path
urlpatterns = [path("", include("realtime.urls")), path("", include("notifications.urls"))]
""",
    "test_page.py": f"""
import pytest
from django.contrib.auth import get_user_model
from rest_framework.test import APIClient

from notifications import notify
from notifications.models import Notification
from notifications.testing import assert_not_notified, assert_notified
from realtime.testing import assert_published
from shop.models import Order

User = get_user_model()
pytestmark = pytest.mark.django_db


@pytest.fixture
def people(db):
    return [User.objects.create_user(name, is_staff=name == "carol") for name in ("alice", "bob", "carol")]


def test_notify(people):
    alice, bob, carol = people
{indent(EXAMPLES["notify"], "    ")}
    assert_notified(alice, "new_follower", message="bob followed you")
    row = assert_notified(carol, "order_sent", message="It is on its way and arrives on Monday.")
    assert row.link == "/orders/A-17"
    assert_notified(carol, "mention", title="Maintenance")
    assert_notified(carol, "invitation", message="bob invites you to a party", left=3)
    with pytest.raises(ValueError, match="does not fit"):
        notify(carol, "invitation", actor=bob, event="a party", data={{"left": "many"}})


def test_rules(people):
    alice, *_ = people
    with assert_published("site", "order", number="A-17"):
        order = Order.objects.create(user=alice, number="A-17")
    for status in ("paid", "sent"):
        order.status = status
        order.save()
    assert_notified(alice, "order_status_changed", order_id="A-17", status="sent")
    assert_not_notified(alice, "order_status_changed", status="paid")
    order.delete()
    assert_notified(alice, "mention", title="Deleted")


def test_bulk(people):
    alice, bob, _ = people
    Order.objects.create(user=alice, number="A-17", status="paid")
    with assert_published("site", "order", number="A-20"):
        run_bulk(alice, bob)
    assert_notified(alice, "order_status_changed", order_id="A-17", status="sent")


def run_bulk(alice, bob):
{indent(EXAMPLES["bulk"], "    ")}


def test_follow(people, client):
    alice, bob, _ = people
    order = Order.objects.create(user=alice, number="A-17")
    api = APIClient()
    for user, status in ((alice, 200), (bob, 404)):
        api.force_authenticate(user)
        assert api.put(f"/api/v1/notifications/follows/shop.order/{{order.pk}}").status_code == status


def test_web_push(people, settings, caplog, django_capture_on_commit_callbacks):
    import pywebpush
    from notifications.preferences.changing import change
    from shop.models import Subscription

    settings.NOTIFICATIONS, settings.VAPID_KEY = {{"WEB_PUSH": "shop.web_push.send"}}, "key"
    alice, bob, _ = people
    change(alice, web_push=True, types={{"mention": {{"web_push": True}}}})
    refused = [{{"answer": 404}}, {{"answer": 410}}, {{"answer": 403}}]
    for user, info in [(alice, {{"a": 1}}), (bob, {{"b": 1}}), *[(alice, info) for info in refused]]:
        Subscription.objects.create(user=user, info=info)
    with django_capture_on_commit_callbacks(execute=True):
        notify([alice, bob], "mention", title="Hello", message="you", link="/here")
    text = '{{"title": "Hello", "body": "you", "url": "/here", "count": 1}}'
    assert pywebpush.sent == [({{"a": 1}}, text)]
    assert [found.info for found in Subscription.objects.order_by("pk")] == [{{"a": 1}}, {{"b": 1}}, {{"answer": 403}}]
    logged = [record.getMessage() for record in caplog.records if record.name == "shop.web_push"]
    assert logged == ["A web push was refused."]


def test_a_receiver(people, client):
    alice, *_ = people
    client.force_login(alice)
    assert_notified(alice, "mention", title="New login")
""",
}
SHOP |= FILES
SHOP["shop/notification_types.py"] += "\nfrom shop import followable, receivers, rules  # noqa\n"


def test_it_names_every_setting_with_its_default() -> None:
    listed = {name: ast.literal_eval(default) for name, default, _ in ROW.findall(PAGE)}
    assert listed == {field.name.upper(): field.default for field in fields(Settings)}


def named(cell: int, text: str) -> list[str]:
    """What is in backticks in one cell of each row of a table."""
    rows = [row.strip("|").split("|") for row in text.splitlines()]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row[cell])]


def tables(head: str) -> list[str]:
    """The rows of the tables that begin with this head."""
    return re.findall(rf"^\| {re.escape(head)} \|.*\n\|---.*\n((?:\|.*\n)+)", PAGE, re.M)


def parameters(function: Callable[..., object]) -> set[str]:
    found = inspect.signature(function).parameters.values()
    return {one.name for one in found if one.kind is not one.VAR_KEYWORD}


def test_it_names_every_option() -> None:
    of_types, of_notify = tables("option")
    assert set(named(0, of_types)) == {field.name for field in fields(NotificationType)} - {"key"}
    assert set(named(0, of_notify)) == parameters(notify) - {"recipients", "type_name"}
    (arguments,) = tables("argument")
    assert set(named(0, arguments)) == parameters(announce) - {"title", "message"}
    (of_pushes,) = tables("field of `WebPush`")
    assert set(named(0, of_pushes)) == {field.name for field in fields(WebPush)}


def test_it_names_every_state_and_reason_of_deliveries() -> None:
    (states,) = tables("state")
    assert set(named(0, states)) == set(Delivery.State.values)
    rows = {named(0, row)[0]: named(1, row) for row in states.splitlines()}
    assert set(rows["queued"]) == {"reason", *reasons.WAITING}
    (rules,) = tables("rule")
    ended = set(reasons.ENDED) - set(named(0, rules)) - {"refused"}
    assert set(rows["suppressed"]) - {"snoozed"} == ended
    (taken_back,) = tables("reason")
    assert set(named(0, taken_back)) == {*TAKEN_BACK, "mute"}


@pytest.mark.process
def test_the_examples_run_on_sqlite(tmp_path) -> None:
    site = SmallSite(tmp_path, SHOP)
    assert "6 passed" in site.run("pytest", "-q", "-p", "no:cacheprovider")


@pytest.mark.process
def test_the_examples_run_on_postgresql(tmp_path, cluster_template) -> None:
    site = SmallSite(tmp_path, SHOP)
    with Postgres(cluster_template) as postgres:
        assert "6 passed" in site.run("pytest", "-q", "-p", "no:cacheprovider", database_url=postgres.url)
