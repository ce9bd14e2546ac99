"""Fills our site's database for the load: users, a token for each, and one room with some of them as members.

Called by `bench.sites` as `python -m bench.seed USERS MEMBERS FILE` under the settings of our server. FILE gets a line
`path<TAB><TAB>target` for each user, as wsload reads it; the target is the primary key of the user's partner.
"""

import sys
from pathlib import Path
from typing import Any

import django


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
