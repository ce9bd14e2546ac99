"""What tests of notifications look at: rows of one user, and the events that were pushed to them."""

import json
from typing import Any

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
