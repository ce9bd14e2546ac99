"""Where a notification may lead: nothing that runs code, or hides where it leads, comes to a client."""

import json
from decimal import Decimal
from enum import IntEnum
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse, reverse_lazy

from notifications import notify, pushing
from notifications.links import is_safe
from notifications.models import Notification
from notifications.texts import fill_link
from realtime.models import Event

SAFE = [
    "",
    "/",
    "/users/456",
    "users/456",
    "?tab=2",
    "#top",
    "../up",
    "/a?x=1&copy=2&y=3",
    "/login?next=https://example.com/",
    "/time/12:30",
    "/大厅",
    "https://example.com",
    "HTTP://user@example.com:8000/a?b#c",
    "https://例え.jp/",
    "http://[::1]/",
    "mailto:alice@example.com?subject=Hi",
]
UNSAFE = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "\tjavascript:alert(1)",
    "java\tscript:alert(1)",
    "java\nscript:alert(1)",
    "\x01javascript:alert(1)",
    "\u200bjavascript:alert(1)",
    "\ufeffjavascript:alert(1)",
    "javascript&colon;alert(1)",
    "javascript&#58;alert(1)",
    "javascript&#x3a;alert(1)",
    "javascript&#58alert(1)",
    "java&Tab;script:alert(1)",
    "&#106;avascript:alert(1)",
    "javascript&amp;colon;alert(1)",
    "javascript&amp;amp;amp;colon;alert(1)",
    "javascript://example.com/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "blob:https://example.com/1",
    "file:///etc/passwd",
    "view-source:javascript:alert(1)",
    "ftp://example.com",
    "://example.com",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "&#47;/evil.example",
    "/&sol;evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https://",
    "http://[",
    "/a b",
    "/users/1 ",
    "/\x7f",
    "/\ud800",
]


class Place(IntEnum):
    FIFTH = 5


def test_a_link_takes_numbers_as_numbers() -> None:
    for value in (5, 5.0, Decimal(5), Place.FIFTH):
        assert fill_link("/orders/%(id)d", {"id": value}) == "/orders/5"
    assert fill_link("/orders/%(id)s", {"id": "a/b"}) == "/orders/a%2Fb"
    with pytest.raises(TypeError):
        fill_link("/orders/%(id)d", {"id": "5"})


@pytest.mark.parametrize("link", SAFE)
def test_it_takes_a_path_or_an_address(link: str) -> None:
    assert is_safe(link)


@pytest.mark.parametrize("link", UNSAFE)
def test_it_refuses_what_could_run_code_or_leads_elsewhere(link: str) -> None:
    assert not is_safe(link)


@pytest.mark.django_db
def test_it_sends_no_unsafe_link(bob: Any) -> None:
    for link in UNSAFE:
        with pytest.raises(ValidationError) as refused:
            notify(bob, "mention", title="Look", message="", link=link)
        assert refused.value.message_dict.keys() == {"link"}
    assert not Notification.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_it_sends_a_link_that_is_resolved_late(bob: Any) -> None:
    link = reverse_lazy("admin:index")
    assert notify(bob, "mention", title="Look", message="", link=link).link == "/admin/"  # type: ignore[union-attr, arg-type]


@pytest.mark.django_db
def test_the_admin_sends_no_unsafe_link(client: Client, django_user_model: Any, bob: Any) -> None:
    client.force_login(django_user_model.objects.create_superuser("root"))
    form = {"type": "order_status_changed", "param_order_id": "1", "param_status": "sent", "data": "{}"}
    form |= {"audience": "people", "people": bob.pk, "form_key": "key", "link": "javascript:alert(1)", "_send": "1"}
    answer = client.post(reverse("admin:notifications_notification_add"), form)
    assert list(answer.context["form"].errors) == ["link"]
    assert not Notification.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("link", ["javascript:alert(1)", "//evil.example", "/\x01"])
def test_it_pushes_no_unsafe_link_that_is_stored_already(bob: Any, link: str) -> None:
    row = Notification.objects.create(recipient=bob, type="mention", title="Look", link=link)
    pushing.push([row], {bob.pk: "en"})
    assert json.loads(Event.objects.get().body)["data"]["link"] == ""
