"""Who is in the demo: people that a visitor can be, and people who talk by themselves. Made by `load_demo`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Person:
    username: str
    first_name: str
    last_name: str
    role: Any  # translatable


VISITORS = (
    Person("alice", "Alice", "Meyer", _("Product")),
    Person("bob", "Bob", "Okafor", _("Engineering")),
    Person("carol", "Carol", "Lindqvist", _("Design")),
)
ACTORS = (
    Person("dana", "Dana", "Whitfield-Papadopoulos", _("Support")),
    Person("emil", "Emil", "Novák", _("Operations")),
    Person("lin", "晓", "林", _("Research")),
    Person("nour", "نور", "الحسن", _("Sales")),
)
EVERYBODY = (*VISITORS, *ACTORS)
COLOURS = 7  # of avatars, in the style sheet
VISITOR_NAMES = frozenset(person.username for person in VISITORS)


def list_people() -> list[dict[str, Any]]:
    """Those who have an account, as the page needs them."""
    model = get_user_model()
    accounts = {user.username: user for user in model.objects.filter(username__in=[p.username for p in EVERYBODY])}
    return [
        {
            "user_id": accounts[person.username].pk,
            "username": person.username,
            "name": display_name(accounts[person.username]),
            "role": str(person.role),
            "hue": accounts[person.username].pk % COLOURS,
        }
        for person in EVERYBODY
        if person.username in accounts
    ]


def find_active(people: Iterable[Person]) -> list[str]:
    """The usernames of those of them who have an account that is not disabled."""
    accounts = get_user_model().objects.filter(username__in=[person.username for person in people], is_active=True)
    return list(accounts.values_list("username", flat=True))


def display_name(user: Any) -> str:
    """How the demo shows a user to others: `REALTIME["DISPLAY_NAME"]`. A Chinese family name comes first."""
    if user.last_name and ord(user.last_name[0]) >= 0x4E00:
        return f"{user.last_name}{user.first_name}"
    return user.get_full_name() or str(user.get_username())
