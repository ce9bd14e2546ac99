"""What this app adds to the description of the sockets: its frames, and the types of notification that a site has.

Registered by `apps`. `realtime.asyncapi` makes a document of it.
"""

from typing import Any

from notifications import frames
from notifications.examples import FRAMES
from notifications.texts import forms_of
from notifications.types import BUILT_IN, Level, NotificationType, all_types
from realtime.integration import Contribution


def describe_own() -> Contribution:
    return Contribution(
        union="NotificationEvent",
        about="The frames about notifications and announcements.",
        frames=frames.EVENTS,
        examples=FRAMES,
        shapes=[frames.Counts, frames.AnnouncementItem],
        aliases={
            "Level": (Level, "How important a notification or an announcement is."),
            "Act": (frames.Act, "What was done with notifications."),
            "Closing": (frames.Closing, "How a reader gets rid of an announcement."),
        },
        lists={"x-notification-types": {kind.key: _list_type(kind) for kind in BUILT_IN}},
    )


def describe_site() -> Contribution:
    found = all_types()
    return Contribution(
        values={"NotificationData": {kind.key: kind.data for kind in found if kind.data is not None}},
        lists={"x-notification-types": {kind.key: _list_type(kind) for kind in found}},
    )


def _list_type(kind: NotificationType) -> dict[str, Any]:
    return {
        "title": str(forms_of(kind.title)),
        "message": str(forms_of(kind.message)),
        "category": kind.category,
        "level": kind.level,
        "actions": [action.key for action in kind.actions],
    }
