"""`load_demo`: creates accounts, rooms and orders for trying the site. For development only: the password is public."""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from project.orders.models import Order
from realtime.models import Membership, Room

PASSWORD = "demo"
# By number: whose it is, and its status.
ORDERS = {"A-17": (0, Order.Status.PAID), "A-18": (0, Order.Status.NEW), "A-19": (1, Order.Status.SENT)}


class Command(BaseCommand):
    help = "Create the users alice, bob, carol and the superuser admin (password: demo), rooms and orders. Needs DEBUG."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("load_demo creates accounts with a known password, so it runs only with DEBUG=1.")
        with transaction.atomic():
            people = [make_user(name) for name in ("alice", "bob", "carol")]
            admin = make_user("admin", is_staff=True, is_superuser=True)
            make_room("general", "General", [*people, admin])
            make_room("team", "Team", people[:2], private=True)
            for number, (user, status) in ORDERS.items():
                Order.objects.get_or_create(number=number, defaults={"user": people[user], "status": status})
        self.stdout.write(f"alice, bob, carol and admin can log in with the password {PASSWORD!r}.")


def make_user(name: str, **flags: bool) -> User:
    """Create the account, or give an existing one the demo's password and flags."""
    user, _ = get_user_model().objects.get_or_create(username=name)
    for flag, value in {"is_active": True, **flags}.items():
        setattr(user, flag, value)
    user.set_password(PASSWORD)
    user.save()
    return user


def make_room(slug: str, title: str, people: list[User], *, private: bool = False) -> None:
    """Create the room with these members. The first one owns it."""
    owner = people[0]
    room, _ = Room.objects.get_or_create(slug=slug, defaults={"title": title, "private": private, "created_by": owner})
    for person in people:
        role = Membership.Role.OWNER if person == owner else Membership.Role.MEMBER
        Membership.objects.get_or_create(room=room, user=person, defaults={"role": role})
