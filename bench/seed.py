"""`python -m bench.seed USERS MEMBERS FILE`: creates users with tokens, a large room and small rooms for the load.

`bench.contenders` runs it with the settings of our server. FILE gets a line `path<TAB><TAB>target` for each user, as
wsload reads it; the target is the primary key of the user's partner.
"""

import sys
from pathlib import Path
from typing import Any

import django

CROWD = 2000  # the first users, each in two small rooms
WRITERS = 20  # the last users, each in two of those rooms


def rooms_of_member(number: int) -> list[str]:
    """Two rooms for each user: all rooms have the same number of users, and no two rooms have the same users."""
    return [f"crowd-{number % WRITERS}", f"crowd-{WRITERS + number // WRITERS % WRITERS}"]


def rooms_of_writer(number: int) -> list[str]:
    return [f"crowd-{number}", f"crowd-{WRITERS + number}"]


def seed(users_count: int, members_count: int, paths_file: Path) -> None:
    from django.contrib.auth import get_user_model
    from django.contrib.auth.hashers import make_password

    from realtime.models import Membership, Room

    User = get_user_model()
    unusable = make_password(None)
    User.objects.bulk_create([User(username=f"u{i}", password=unusable) for i in range(users_count)], batch_size=1000)
    users = list(User.objects.order_by("pk"))
    room = Room.objects.create(slug="bench", title="Bench")
    Membership.objects.bulk_create([Membership(room=room, user=user) for user in users[:members_count]])
    crowd = {slug: Room.objects.create(slug=slug, title=slug) for n in range(WRITERS) for slug in rooms_of_writer(n)}
    places = [(user, rooms_of_member(number)) for number, user in enumerate(users[:CROWD])]
    places += [(user, rooms_of_writer(number)) for number, user in enumerate(users[-WRITERS:])]
    members = [Membership(room=crowd[slug], user=user) for user, slugs in places for slug in slugs]
    Membership.objects.bulk_create(members, batch_size=1000)
    write_paths(users, paths_file)


def write_paths(users: list[Any], paths_file: Path) -> None:
    from rest_framework_simplejwt.tokens import AccessToken

    with paths_file.open("w") as file:
        for number, user in enumerate(users):
            partner = users[number ^ 1] if number ^ 1 < len(users) else user
            file.write(f"/api/v1/ws?token={AccessToken.for_user(user)}\t\t{partner.pk}\n")


if __name__ == "__main__":
    django.setup()
    seed(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
