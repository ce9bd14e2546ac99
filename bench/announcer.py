"""`python -m bench.announcer USERS`: announces something to all users of our site, and prints what that has cost.

Started by `bench.announcing` with the settings of our server, in a process of its own, as an admin or a task queue is.
The title carries the moment of the call, from which wsload measures each delivery.
"""

import sys
import time
from typing import Any

import django
import msgspec


class Cost(msgspec.Struct, frozen=True):
    """Rows of each kind that one announcement has made, how many users it was for, and how long the call took."""

    announcements: int
    states: int
    events: int
    reached: int
    call_ms: float


def add_users(count: int) -> None:
    """Until there are so many."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.hashers import make_password

    users = get_user_model()
    unusable = make_password(None)
    missing = range(users.objects.count(), count)
    users.objects.bulk_create([users(username=f"crowd{n}", password=unusable) for n in missing], batch_size=5_000)


def count_rows() -> list[int]:
    from notifications.models import Announcement, AnnouncementState
    from realtime.models import Event

    models: list[Any] = [Announcement, AnnouncementState, Event]
    return [model.objects.count() for model in models]


def announce_now() -> Cost:
    from notifications import announce

    before = count_rows()
    started = time.monotonic_ns()
    row = announce(
        f"@{started:019d}@", "Maintenance tonight, from three to four o'clock.", level="warning", link="/status"
    )
    call_ms = (time.monotonic_ns() - started) / 1e6
    announcements, states, events = (now - then for now, then in zip(count_rows(), before, strict=True))
    return Cost(announcements, states, events, row.reached or 0, call_ms)


def main() -> None:
    django.setup()
    add_users(int(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.readline()
    print(msgspec.json.encode(announce_now()).decode(), flush=True)


if __name__ == "__main__":
    main()
