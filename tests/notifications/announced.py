"""What tests of announcements look at: the events for all sockets, and what readers get over REST."""

import json
from datetime import timedelta
from typing import Any

from django.utils import timezone

from notifications import announce
from notifications.models import Announcement
from realtime.models import Event
from tests.people import client_for

ADDRESS = "/api/v1/announcements"
LONG_AGO = timezone.now() - timedelta(days=1)


def make_draft(title: str = "News", message: str = "", language: str = "en", **fields: Any) -> Announcement:
    """A draft as the admin stores it."""
    draft = Announcement.objects.create(**fields)
    draft.texts.create(language=language, title=title, message=message)
    return draft


def make_old(*users: Any) -> None:
    """Let users have joined yesterday: they are no newer than an announcement of now."""
    for user in users:
        user.date_joined = LONG_AGO
        user.save()


def frames(kind: str = "", stream: str = "site") -> list[dict[str, Any]]:
    """The frames in a stream, all or those of one type, oldest first."""
    found = [json.loads(event.body) for event in Event.objects.filter(stream=stream).order_by("id")]
    return [frame for frame in found if kind in ("", frame["type"])]


def listed(user: Any, language: str = "en") -> list[dict[str, Any]]:
    """The announcements that a user gets."""
    answer = client_for(user).get(ADDRESS, headers={"accept-language": language})
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["announcements"]
    return found


def titles(user: Any, language: str = "en") -> list[str]:
    return [item["title"] for item in listed(user, language)]


def report(user: Any, announcement: Any, act: str) -> Any:
    """The answer to a reader's act."""
    key = announcement.pk if isinstance(announcement, Announcement) else announcement
    return client_for(user).post(f"{ADDRESS}/{key}/{act}")


__all__ = ["ADDRESS", "LONG_AGO", "announce", "frames", "listed", "make_draft", "make_old", "report", "titles"]
