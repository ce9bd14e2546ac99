"""“Send a notification” in the admin: its steps, its rights, and that nobody gets it twice."""

import re
from datetime import datetime
from enum import Enum
from typing import Any, Literal

import msgspec
import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import IntegrityError
from django.db.models.lookups import Exact, In
from django.test import Client
from django.test.utils import register_lookup
from django.urls import reverse
from django.utils.translation import ngettext_lazy

from notifications import dispatching, types
from notifications.admin import sending, sending_forms
from notifications.admin.sending_forms import RecipientsForm, SendForm
from notifications.models import Dispatch, Notification, TypeSwitch
from realtime.models import Event
from tests.notifications.announced_admin import assert_no_own_code, log_in_root
from tests.notifications.staffed import address, errors, form, send, staff
from tests.people import make_user
from tests.racing import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("greeting")]


@pytest.fixture
def root(db: None) -> Client:
    return log_in_root()


def logged() -> list[tuple[str, str]]:
    return [(entry.object_repr, entry.get_change_message()) for entry in LogEntry.objects.order_by("pk")]


# Steps


def test_it_asks_for_the_type_and_then_for_what_it_needs(root: Client) -> None:
    page = root.get(address("add")).content.decode()
    assert '<option value="new_like">New like</option>' in page
    assert root.get(address("add"), {"type": "unheard of"}).context["form"].errors
    fields = root.get(address("add"), {"type": "greeting"}).context["form"].fields
    assert {"param_name", "param_count", "link", "data"} <= set(fields)
    assert "actor" not in fields
    assert type(fields["param_count"]).__name__ == "IntegerField"
    mention = root.get(address("add"), {"type": "mention"}).context["form"]
    assert mention.fields["actor"].required
    assert mention["actor"].value() == get_user_model().objects.get(username="root").pk


def test_types_with_one_title_are_told_apart_by_their_keys(root: Client, bob: Any) -> None:
    send(root, bob)
    pages = [root.get(address(page)).content.decode() for page in ("add", "changelist")]
    pages.append(root.get(reverse("admin:notifications_typeswitch_changelist")).content.decode())
    for page in pages:
        assert "New mention (mention)" in page
        assert "New mention (greeting)" in page
        assert "New like (" not in page


def test_it_shows_each_language_and_how_many_before_it_sends(root: Client, bob: Any, carol: Any) -> None:
    sent = {key: value for key, value in form(bob, names="carol").items() if key != "_send"}
    answer = root.post(address("add"), sent)
    page = answer.content.decode()
    assert answer.context["reach"] == 2
    assert [(one.language, one.rendered.title) for one in answer.context["previews"]] == [
        ("en", "New mention"),
        ("zh-hans", "新提及"),
    ]
    assert "Hello Ada, 3 times" in page
    assert not Notification.objects.exists()
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)"[^>]* value="([^"]*)"', page))
    assert hidden["type"] == "greeting"
    root.post(address("add"), {**hidden, "_send": "1"})
    assert set(Notification.objects.values_list("recipient__username", flat=True)) == {"bob", "carol"}


def test_people_get_it_at_once(root: Client, bob: Any) -> None:
    answer = send(root, bob, link="/lunch", data='{"room": "大厅"}')
    row, event, dispatch = Notification.objects.get(), Event.objects.get(), Dispatch.objects.get()
    assert answer.redirect_chain == [(address("change", dispatch, "dispatch"), 302)]
    assert "Sent to 1 person." in answer.content.decode()
    assert (row.recipient, row.render().message, row.link) == (bob, "Hello Ada, 3 times", "/lunch")
    assert (row.data, row.dedupe_key) == ({"room": "大厅"}, dispatch.dedupe_key)
    assert event.stream == f"user.{bob.pk}"
    assert (dispatch.state, dispatch.stored, dispatch.created_by.username) == ("sent", 1, "root")  # type: ignore[union-attr]
    assert logged() == [("New mention (greeting)", "Sent to 1 person.")]
    assert LogEntry.objects.get().get_edited_object() == dispatch


def test_groups_and_everyone(root: Client, bob: Any, carol: Any) -> None:
    crew = Group.objects.create(name="crew")
    crew.user_set.add(carol)
    make_user("gone", is_active=False)
    send(root, audience="groups", groups=[crew.pk], people=[bob.pk])
    assert list(Notification.objects.values_list("recipient__username", flat=True)) == ["carol"]
    send(root, audience="everyone", form_key="key-2")
    assert Notification.objects.exclude(dedupe_key="dispatch.1").count() >= 3
    assert not Notification.objects.filter(recipient__username="gone").exists()


def test_a_site_without_groups_offers_none(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending_forms, "has_groups", lambda: False)
    shown = root.get(address("add"), {"type": "greeting"}).context["form"]
    assert "groups" not in shown.fields
    assert errors(send(root, audience="groups")) == {"audience"}
    send(root, audience="everyone")
    assert Notification.objects.exists()


class Phone:
    """What a field of a user model makes of a name."""

    def __init__(self, digits: str) -> None:
        self.digits = digits


def test_names_need_not_be_texts(alice: Any, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    field: Any = get_user_model()._meta.get_field("username")

    def get_prep_value(given: Any) -> str:
        digits = given.digits if isinstance(given, Phone) else given.removeprefix("+")
        if not digits.isdigit():
            raise ValueError("no number")
        return str(digits)

    get_user_model().objects.filter(pk=bob.pk).update(username="222")
    monkeypatch.setattr(field, "from_db_value", lambda value, *_: Phone(value), raising=False)
    monkeypatch.setattr(field, "get_prep_value", get_prep_value)
    given = {"audience": "people", "form_key": "k"}
    right = RecipientsForm({**given, "names": "+222"}, site=admin.site)
    assert right.is_valid(), right.errors
    assert right.cleaned_data["names"] == [bob.pk]
    wrong = RecipientsForm({**given, "names": "222\n333\nsomebody"}, site=admin.site)
    assert wrong.errors["names"] == ["There is nobody with the name 333, somebody."]


class InAnyCase(In):
    def get_prep_lookup(self) -> Any:
        return [name.lower() for name in super().get_prep_lookup()]


class ExactInAnyCase(Exact):
    def get_prep_lookup(self) -> Any:
        return super().get_prep_lookup().lower()


def test_a_column_may_not_tell_letters_by_their_case(bob: Any, carol: Any) -> None:
    field: Any = get_user_model()._meta.get_field("username")
    given = {"audience": "people", "form_key": "k"}
    with register_lookup(field, InAnyCase, ExactInAnyCase):
        right = RecipientsForm({**given, "names": "Bob\nCAROL\ncarol"}, site=admin.site)
        assert right.is_valid(), right.errors
        assert set(right.cleaned_data["names"]) == {bob.pk, carol.pk}
        wrong = RecipientsForm({**given, "names": "Bob\nSomebody"}, site=admin.site)
        assert wrong.errors["names"] == ["There is nobody with the name Somebody."]


def test_who_caused_it_gets_none(root: Client, bob: Any) -> None:
    send(root, audience="everyone", type="mention", actor=bob.pk)
    assert [row.render().message for row in Notification.objects.all()] == ["bob mentioned you"]
    assert Dispatch.objects.get().total == 1


def test_the_page_that_checks_names_those_who_get_it(root: Client, bob: Any, carol: Any) -> None:
    mention = form(bob, carol, type="mention", actor=str(bob.pk))
    given = {key: value for key, value in mention.items() if key != "_send"}
    context = root.post(address("add"), given).context
    assert (context["reach"], context["names"]) == (1, ["carol"])


def test_own_words_replace_those_of_the_type(root: Client, bob: Any) -> None:
    send(root, bob, title="Lunch", message="100% <b>sure</b>", param_name="", param_count="")
    row = Notification.objects.get()
    assert (row.title, row.message) == ("Lunch", "100% <b>sure</b>")


@pytest.mark.parametrize("word", ["title", "message"])
def test_words_of_spaces_only_are_those_of_the_type(root: Client, bob: Any, word: str) -> None:
    texts: dict[str, Any] = {"title": "Hello", "message": "Hello", word: "Hello %(name)s"}
    types.register("greeting", **texts)
    assert errors(send(root, bob, param_name="", **{word: "  "})) == {"param_name"}
    send(root, bob, **{word: "  "})
    assert getattr(Notification.objects.get().render(), word) == "Hello Ada"


def test_a_page_that_asks_comes_first_above_a_thousand(root: Client, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "CONFIRM_ABOVE", 1)
    answer = send(root, audience="everyone")
    assert "This notification goes to 2 people. Are you sure?" in answer.content.decode()
    assert not Dispatch.objects.exists()
    send(root, audience="everyone", _confirmed="1")
    assert Notification.objects.count() == 2


# What is wrong


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"people": []}, "people"),
        ({"people": ["0"]}, "people"),
        ({"people": ["\0"]}, "people"),
        ({"names": "nobody"}, "names"),
        ({"names": "a\0b"}, "names"),
        ({"audience": "groups"}, "groups"),
        ({"audience": "all"}, "audience"),
        ({"param_name": ""}, "param_name"),
        ({"param_name": "a\0b"}, "param_name"),
        ({"data": '{"x": "\\ud800"}'}, "data"),
        ({"param_count": "many"}, "param_count"),
        ({"link": "javascript:alert(1)"}, "link"),
        ({"data": "[1]"}, "data"),
        ({"data": "{"}, "data"),
        ({"data": '{"x": "\\u0000"}'}, "data"),
        ({"title": "x" * 256}, "title"),
        ({"form_key": ""}, "form_key"),
    ],
)
def test_what_cannot_be_sent_is_explained(root: Client, bob: Any, changed: dict[str, Any], field: str) -> None:
    assert field in errors(send(root, **{"people": [bob.pk], **changed}))
    assert not Dispatch.objects.exists()


def test_nothing_is_sent_of_a_type_that_is_off(root: Client, bob: Any) -> None:
    TypeSwitch.objects.create(type="greeting")
    assert errors(send(root, bob)) == {"__all__"}


def test_a_push_that_fails_stores_nothing(root: Client, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("no log")

    monkeypatch.setattr("notifications.pushing.publish_all", fail)
    with pytest.raises(RuntimeError, match="no log"):
        send(root, bob)
    assert not Notification.objects.exists()
    assert not Dispatch.objects.exists()


@pytest.mark.parametrize("deleted", ["people", "actor"])
def test_who_is_deleted_before_it_is_sent_is_named(
    root: Client, bob: Any, carol: Any, monkeypatch: pytest.MonkeyPatch, deleted: str
) -> None:
    count_reach = SendForm.count_reach

    def delete_one(form: SendForm) -> int:
        reach = count_reach(form)
        bob.delete()
        return reach

    monkeypatch.setattr(SendForm, "count_reach", delete_one)
    fields = {"people": [bob.pk], "actor": carol.pk} if deleted == "people" else {"people": [carol.pk], "actor": bob.pk}
    if deleted == "people":  # the database says so at COMMIT

        def start(*args: Any, **kwargs: Any) -> None:
            raise IntegrityError

        monkeypatch.setattr(dispatching, "start", start)
    assert errors(send(root, type="mention", **fields)) == {deleted}
    assert not Dispatch.objects.exists()


# Typed parameters


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class Shape(msgspec.Struct, tag="shape"):
    left: int
    size: Size
    kind: Literal["round", "square"] = "round"
    is_new: bool = False
    price: float | None = None
    tags: list[str] = msgspec.field(default_factory=list, name="allTags")


def test_the_schema_of_data_becomes_fields(root: Client, bob: Any) -> None:
    types.register("greeting", title="%(left)s left", message="%(name)s", data=Shape, link="/%(name)s")
    fields = root.get(address("add"), {"type": "greeting"}).context["form"].fields
    names = [name for name in fields if name.startswith("param_")]
    assert names == [f"param_{name}" for name in ("left", "name", "size", "kind", "is_new", "price", "allTags")]
    assert "data" not in fields
    assert "link" not in fields
    own = {"param_left": "2", "param_size": "l", "param_kind": "", "param_is_new": "on", "param_allTags": '["a"]'}
    send(root, bob, **own)
    row = Notification.objects.get()
    assert row.data == {"left": 2, "size": "l", "is_new": True, "allTags": ["a"], "type": "shape"}
    assert (row.render().title, row.link) == ("2 left", "/Ada")
    assert errors(send(root, bob, **own | {"param_allTags": "[1]"}, form_key="key-2")) == {"__all__"}
    assert errors(send(root, bob, **own | {"param_size": "m", "param_left": ""}, form_key="key-2")) == {
        "param_size",
        "param_left",
    }


class Corner(msgspec.Struct):
    x: int = 0


class Defaults(msgspec.Struct):
    size: Size = Size.LARGE
    tags: list[str] = []
    corner: Corner = msgspec.field(default_factory=Corner)
    either: int | str = 5
    scores: list[int] | None = None
    moment: datetime = msgspec.field(default_factory=datetime.now)


def test_fields_show_the_defaults_of_data(root: Client, bob: Any) -> None:
    types.register("greeting", title="%(name)s", message="Hello", data=Defaults)
    shown = root.get(address("add"), {"type": "greeting"}).context["form"]
    values = {name: shown[f"param_{name}"].value() for name in Defaults.__struct_fields__}
    # What a factory makes of the moment at which it is called is left to the sending.
    assert values == {"size": "l", "tags": "[]", "corner": '{"x": 0}', "either": "5", "scores": "", "moment": None}
    assert 'value="l" selected' in str(shown["param_size"])
    send(root, bob, **{f"param_{name}": value or "" for name, value in values.items()})
    assert Notification.objects.get().data == {"size": "l", "tags": [], "corner": {"x": 0}, "either": 5}


def test_a_plural_translation_asks_for_its_number(root: Client, bob: Any) -> None:
    title = ngettext_lazy("New like", "New likes", "count")
    types.register("greeting", title=title, message=ngettext_lazy("%(name)s", "%(name)s and others", "count"))
    fields = root.get(address("add"), {"type": "greeting"}).context["form"].fields
    assert [name for name in fields if name.startswith("param_")] == ["param_name", "param_count"]
    assert type(fields["param_count"]).__name__ == "IntegerField"
    send(root, bob, param_count="3")
    rendered = Notification.objects.get().render()
    assert (rendered.title, rendered.message) == ("New likes", "Ada and others")


# Once


def test_a_form_that_is_sent_twice_sends_once(root: Client, bob: Any) -> None:
    send(root, bob)
    answer = send(root, bob)
    assert "This form was sent before" in answer.content.decode()
    assert Notification.objects.count() == 1
    assert len(logged()) == 1


def test_the_way_back_to_a_form_that_was_sent_leads_to_what_it_sent(root: Client, bob: Any) -> None:
    """A script has put the key into the address."""
    opened = root.get(address("add"), {"type": "greeting"})
    assert "notifications/form_key.js" in opened.content.decode()
    key = opened.context["form"]["form_key"].value()
    back = {"type": "greeting", "form_key": key}
    assert root.get(address("add"), back).context["form"]["form_key"].value() == key
    send(root, bob, form_key=key)
    again = root.get(address("add"), back, follow=True)
    assert again.redirect_chain == [(address("change", Dispatch.objects.get(), "dispatch"), 302)]
    assert "This form was sent before" in again.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_form_that_is_sent_twice_at_once_sends_once(root: Client, bob: Any) -> None:
    def post() -> int:
        client = Client()
        client.cookies = root.cookies
        return client.post(address("add"), form(audience="everyone")).status_code

    assert at_once(post, post) == [302, 302]
    assert Notification.objects.count() == 2
    assert Dispatch.objects.get().stored == 2


def test_no_page_has_a_script_or_a_style_of_its_own(root: Client, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "CONFIRM_ABOVE", 0)
    pages = [root.get(address("add")), root.get(address("add"), {"type": "greeting"})]
    pages += [send(root, bob, param_count="x"), send(root, bob), send(root, bob, _confirmed="1")]
    row = Notification.objects.get()
    dispatch = Dispatch.objects.get()
    pages += [root.get(address("changelist")), root.get(address("change", row)), root.get(address("delete", row))]
    pages += [root.get(address(step, dispatch, "dispatch")) for step in ("change", "withdraw")]
    for page in pages:
        assert page.status_code == 200
        assert_no_own_code(page.content.decode())


# Rights


def test_sending_has_a_right_of_its_own(bob: Any) -> None:
    everything = ["view_notification", "change_notification", "delete_notification", "add_notification"]
    other = staff(*everything)
    assert other.get(address("add")).status_code == 403
    assert send(other, bob).status_code == 403
    assert "Send a notification" not in other.get(address("changelist")).content.decode()
    assert Client().get(address("add")).status_code == 302
    sender = staff("send_notification")
    checked = {key: value for key, value in form(bob).items() if key != "_send"}
    for page in (sender.get(address("add")), sender.post(address("add"), checked)):
        assert page.status_code == 200
        assert f'href="{address("changelist")}"' not in page.content.decode()  # the page would refuse them
    assert send(sender, bob).status_code == 200
    assert Notification.objects.count() == 1
