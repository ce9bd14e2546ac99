"""What tests of notifications look at: rows of one user, the events that were pushed to them, and plans of queries."""

import json
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from notifications import notify
from notifications.models import Notification
from realtime.models import Event


def sent(*args: Any, **kwargs: Any) -> Notification:
    """`notify` one user, who gets it."""
    notification = notify(*args, **kwargs)
    assert isinstance(notification, Notification)
    return notification


def pushed(user: Any, kind: str = "") -> list[dict[str, Any]]:
    """The frames in the user's stream, all or those of one type, oldest first."""
    frames = [json.loads(event.body) for event in Event.objects.filter(stream=f"user.{user.pk}").order_by("id")]
    return [frame for frame in frames if kind in ("", frame["type"])]


def row_of(user: Any) -> Notification:
    """The only notification of the user."""
    return Notification.objects.get(recipient=user)


def plans(work: Any) -> list[str]:
    """How the database answers the queries that a function asks."""
    with CaptureQueriesContext(connection) as asked:
        work()
    with connection.cursor() as cursor:
        found = []
        for query in asked.captured_queries:
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' * (connection.vendor == 'sqlite')}{query['sql']}")
            found.append("\n".join(line for *_, line in cursor.fetchall()))
    return found
