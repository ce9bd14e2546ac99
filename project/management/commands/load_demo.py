"""`load_demo`: creates what the demo needs. For development only: the password of its accounts is public."""

import argparse
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from project.demo.history import write_history
from project.demo.people import ACTORS, VISITORS, Person
from project.orders.models import Order
from realtime.models import Membership, Room

PASSWORD = "demo"
# By number: whose it is, and its status.
ORDERS = {
    "A-17": ("alice", Order.Status.PAID),
    "A-18": ("alice", Order.Status.NEW),
    "A-19": ("bob", Order.Status.SENT),
    "A-20": ("bob", Order.Status.NEW),
    "A-21": ("carol", Order.Status.NEW),
    "A-22": ("carol", Order.Status.PAID),
}


class Command(BaseCommand):
    help = "Create the users alice, bob, carol and the superuser admin (password: demo), rooms and orders. Needs DEBUG."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--bare", action="store_true", help="without the people who talk by themselves, and without a past"
        )

    def handle(self, *args: Any, bare: bool = False, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("load_demo creates accounts with a known password, so it runs only with DEBUG=1.")
        with transaction.atomic():
            people = [make_user(person.username) for person in VISITORS]
            admin = make_user("admin", is_staff=True, is_superuser=True)
            make_room("general", "General", [*people, admin])
            make_room("team", "Team", people[:2], private=True)
            for number, (name, status) in ORDERS.items():
                user = next(person for person in people if person.username == name)
                Order.objects.get_or_create(number=number, defaults={"user": user, "status": status})
            if not bare:
                furnish([*people, admin])
        self.stdout.write(f"alice, bob, carol and admin can log in with the password {PASSWORD!r}.")


def furnish(people: list[User]) -> None:
    """Names, more people and rooms, and a past, so that whoever opens the demo does not find it empty."""
    for person in VISITORS:
        get_user_model().objects.filter(username=person.username).update(**names_of(person))
    actors = [make_actor(person) for person in ACTORS]
    make_room("general", "General", [*people, *actors])
    make_room("releases", "Releases", [*people, *actors])
    make_room("support", "Support", [*people, *actors])
    write_history()


def names_of(person: Person) -> dict[str, str]:
    return {"first_name": person.first_name, "last_name": person.last_name}


def make_user(name: str, **flags: bool) -> User:
    """Create the account, or give an existing one the demo's password and flags."""
    user, is_new = get_user_model().objects.get_or_create(username=name)
    for flag, value in {"is_active": True, **flags}.items():
        setattr(user, flag, value)
    # A new hash, also of the same password, would sign out every window and the admin's session.
    if is_new or not user.check_password(PASSWORD):
        user.set_password(PASSWORD)
    user.save()
    return user


def make_actor(person: Person) -> User:
    """Somebody who talks by themselves. Nobody can log in as them."""
    values = {"is_active": True, **names_of(person)}
    user, created = get_user_model().objects.update_or_create(username=person.username, defaults=values)
    if created:
        user.set_unusable_password()
        user.save()
    return user


def make_room(slug: str, title: str, people: list[User], *, private: bool = False) -> None:
    """Create the room with these members. The first one owns it."""
    owner = people[0]
    room, _ = Room.objects.get_or_create(slug=slug, defaults={"title": title, "private": private, "created_by": owner})
    for person in people:
        role = Membership.Role.OWNER if person == owner else Membership.Role.MEMBER
        Membership.objects.get_or_create(room=room, user=person, defaults={"role": role})
