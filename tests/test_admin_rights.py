"""Who may open which page of the admin, and choose which action: found from the site's addresses, of both apps."""

import html
import re
from itertools import product
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q
from django.template.response import SimpleTemplateResponse
from django.test import Client, RequestFactory
from django.urls import get_resolver, resolve, reverse
from django.utils import timezone

from notifications.models import Announcement, Delivery, Dispatch, JobRun, Notification, Preference, Reader
from realtime.models import Membership, Message
from realtime.presence import online
from realtime.presence.attendance import lookup
from realtime.presence.attendance.memory import MemoryAttendance
from realtime.presence.memory import MemoryPresence
from tests.notifications.rows import sent
from tests.people import make_user

pytestmark = pytest.mark.django_db

APPS = ("realtime", "notifications")
NOBODY = ""
# The rights on a model that open each page: any of those between bars, all of those between `and`.
DJANGO = {
    "changelist": "view | change",
    "change": "view | change",
    "history": "view | change",
    "add": "add",
    "delete": "delete",
    "users": "add | change",
}
OTHERS = {
    "realtime_live_changelist": "view_live_users | view_live_processes | view_live_rooms",
    "realtime_live_disconnect": "disconnect_user",
    "realtime_message_add": NOBODY,
    "realtime_message_delete": NOBODY,
    "notifications_announcement_cancel": "cancel and view | cancel and change",
    "notifications_announcement_publish": "publish and view | publish and change",
    "notifications_delivery_add": NOBODY,
    "notifications_delivery_delete": NOBODY,
    "notifications_dispatch_add": NOBODY,
    **{f"notifications_dispatch_{page}": "view" for page in ("change", "changelist", "history")},
    "notifications_dispatch_delete": NOBODY,
    "notifications_dispatch_resume": "send_notification and view",
    "notifications_dispatch_stop": "send_notification and view",
    "notifications_dispatch_withdraw": "delete_notification and view",
    "notifications_jobrun_add": NOBODY,
    "notifications_jobrun_delete": NOBODY,
    "notifications_notification_add": "send",
    "notifications_notification_users": "send",
    "notifications_typeswitch_add": NOBODY,
    **{f"notifications_typeswitch_{page}": "view" for page in ("change", "changelist", "history")},
    "notifications_typeswitch_delete": NOBODY,
    "notifications_typeswitch_mail": "view",
    "notifications_typeswitch_switch": "switch and view",
}
POSTED = {"notifications_dispatch_resume", "notifications_dispatch_stop", "notifications_typeswitch_switch"}
ACTIONS = {
    "announcement": {"publish_selected": "publish", "cancel_selected": "cancel", "delete_selected": "delete"},
    "delivery": {"retry_selected": "retry"},
    "membership": {"delete_selected": "delete"},
    "notification": {
        "mark_read": "change",
        "mark_unread": "change",
        "archive": "change",
        "send_again": "send",
        "withdraw": "delete",
        "export": "export",
    },
    "preference": {"delete_selected": "delete"},
    "reader": {"delete_selected": "delete"},
    "room": {"delete_selected": "delete"},
}


def is_ours(name: str) -> bool:
    return name.startswith(tuple(f"{app}_" for app in APPS))


def find_patterns() -> list[Any]:
    """What Django's admin has under the addresses of both apps."""
    _prefix, resolver = get_resolver().namespace_dict["admin"]
    groups = [found.url_patterns for found in resolver.url_patterns if hasattr(found, "url_patterns")]
    return [found for group in groups if any(is_ours(one.name or "") for one in group) for found in group]


LINK = re.compile(r'<a [^>]*href="(/admin/[^"]*)"')
CHANGE = re.compile("/change/$")
NAMES = sorted(found.name for found in find_patterns() if found.name)


def ways(name: str) -> list[set[str]]:
    """The sets of rights each of which opens the page."""
    _app, model, page = name.split("_")
    needed = OTHERS[name] if name in OTHERS else DJANGO[page]
    rights = [[spell_out(right, model) for right in way.split(" and ")] for way in needed.split(" | ") if way]
    return [set(way) for way in rights]


def spell_out(right: str, model: str) -> str:
    return right if "_" in right else f"{right}_{model}"


def gaps(name: str) -> list[set[str]]:
    """The sets of rights without each of which nobody opens the page: one of every way is missing."""
    return [set(missing) for missing in product(*ways(name))]


class Staff:
    """Somebody of the staff, whose rights change."""

    def __init__(self) -> None:
        self.user = make_user("staff", is_staff=True)
        self.client = Client()
        self.client.force_login(self.user)
        self._every = Permission.objects.filter(content_type__app_label__in=APPS)

    def get(self, rights: set[str]) -> None:
        self._set(Q(codename__in=rights), len(rights))

    def get_all_but(self, rights: set[str]) -> None:
        self._set(~Q(codename__in=rights), self._every.count() - len(rights))

    def _set(self, which: Q, count: int) -> None:
        found = self._every.filter(which)
        assert len(found) == count, "a right that does not exist"
        self.user.user_permissions.set(found)


@pytest.fixture
def staff(monkeypatch: pytest.MonkeyPatch) -> Staff:
    monkeypatch.setattr(SimpleTemplateResponse, "rendered_content", "")  # what the pages say is tested elsewhere
    return Staff()


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def known(alice: Any, general: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """One object of each model, by its name. Nobody is online."""
    monkeypatch.setattr(online, "loop_store", lambda: MemoryPresence(lease_seconds=600, grace_seconds=600))
    monkeypatch.setattr(lookup, "loop_store", lambda: MemoryAttendance(lease_seconds=600))
    row = sent(alice, "mention", message="Lunch?")
    return {
        "room": general.pk,
        "membership": Membership.objects.first().pk,
        "message": Message.objects.create(room=general, sender=alice, text="Hello", seq=1).pk,
        "live": alice.pk,
        "notification": row.pk,
        "dispatch": Dispatch.objects.create(type="mention", audience="people", form_key="1", state="sent").pk,
        "typeswitch": "mention",
        "announcement": Announcement.objects.create(state="scheduled").pk,
        "reader": Reader.objects.create(user=alice).pk,
        "preference": Preference.objects.create(
            user=alice, scope="type", key="mention", channel="mail", enabled=True
        ).pk,
        "delivery": Delivery.objects.create(notification=row, user=alice, state="failed", due_at=timezone.now()).pk,
        "jobrun": JobRun.objects.create(name="mails", due_at=timezone.now()).pk,
    }


def ask(client: Client, name: str, known: dict[str, Any], *, post: bool = False) -> Any:
    key = known[name.split("_")[1]]
    is_of_none = name.endswith(("_changelist", "_add", "_users", "_disconnect"))
    address = reverse(f"admin:{name}", args=[] if is_of_none else [key])
    if post or name in POSTED:
        return client.post(address, {"off": "1", "user": known["live"]})
    asked = {"disconnect": {"user": known["live"]}, "mail": {"language": "en"}, "add": {"form_key": "k" * 32}}
    return client.get(address, asked.get(name.split("_")[2], {}))


def everything() -> list[Any]:
    """All rows of both apps, and the admin's log."""
    models = [*apps.get_app_config("admin").get_models()]
    models += [model for app in APPS for model in apps.get_app_config(app).get_models()]
    return [list(model._default_manager.order_by("pk").values()) for model in models if not model._meta.proxy]


def test_every_address_is_in_the_table() -> None:
    ours = {name for name in NAMES if name.split("_")[2] not in DJANGO}
    assert ours <= set(OTHERS) <= set(NAMES)
    nameless = {str(found.pattern) for found in find_patterns() if not found.name}
    assert nameless == {"<path:object_id>/"}  # Django's, which leads to the page of the object


@pytest.mark.parametrize("model", dict.fromkeys(name.split("_")[1] for name in NAMES))
def test_a_page_opens_for_its_rights_and_for_nobody_without_one(
    staff: Staff, root: Client, known: Any, model: str
) -> None:
    names = [name for name in NAMES if name.split("_")[1] == model]
    before = everything()
    for name, missing in ((one, missing) for one in names for missing in gaps(one)):
        staff.get_all_but(missing)
        assert ask(staff.client, name, known).status_code == 403, (name, missing)
        assert name in POSTED or ask(staff.client, name, known, post=True).status_code in (403, 405), (name, missing)
    assert everything() == before
    for name, rights in ((one, rights) for one in names for rights in ways(one)):
        staff.get(rights)
        assert is_open(ask(staff.client, name, known), name), (name, rights)
    for name in names:
        assert is_open(ask(root, name, known), name) == bool(ways(name)), name


def is_open(answer: Any, name: str) -> bool:
    return answer.status_code == (302 if name in POSTED else 200)


def test_no_page_links_to_one_that_does_not_open(known: Any, alice: Any) -> None:
    Dispatch.objects.update(created_by=alice, actor=alice)
    Notification.objects.update(actor=alice, target_type=ContentType.objects.get_for_model(alice), target_key=alice.pk)
    staff, names = Staff(), [name for name in NAMES if name.endswith("_change")]
    closed = []
    for name, rights in ((one, rights) for one in names for rights in [*ways(one), None]):
        staff.get_all_but(set()) if rights is None else staff.get(rights)  # all have none to see users
        shown = ask(staff.client, name, known).content.decode()
        links = {html.unescape(link) for link in LINK.findall(shown)}
        # What each page has besides is Django's.
        closed += [(name, link) for link in links if CHANGE.search(link) and staff.client.get(link).status_code == 403]
    assert closed == []


@pytest.mark.parametrize("user", ["nobody", "alice"])
def test_who_is_not_of_the_staff_has_to_log_in(user: str, alice: Any, known: Any) -> None:
    client = Client()
    if user == "alice":
        client.force_login(alice)
    before = everything()
    for name in NAMES:
        assert "/admin/login/" in ask(client, name, known, post=True).headers.get("Location", ""), name
    assert everything() == before


def actions_of(user: Any) -> set[tuple[str, str]]:
    """Models and actions that the user may choose in the lists."""
    request: Any = RequestFactory().get("/")
    request.user = type(user).objects.get(pk=user.pk)  # which remembers its rights
    found = set()
    for model, page in admin.site._registry.items():
        if model._meta.app_label in APPS:
            request.resolver_match = resolve(reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_changelist"))
            found |= {(str(model._meta.model_name), name) for name in page.get_actions(request)}
    return found


def test_each_action_has_its_right(staff: Staff) -> None:
    table = {(model, name): right for model, rights in ACTIONS.items() for name, right in rights.items()}
    assert actions_of(make_user("root", is_staff=True, is_superuser=True)) == set(table)
    for (model, name), right in table.items():
        staff.get({spell_out(right, model)})
        assert actions_of(staff.user) == {one for one in table if one[0] == model and table[one] == right}
        staff.get_all_but({spell_out(right, model)})
        assert (model, name) not in actions_of(staff.user)
