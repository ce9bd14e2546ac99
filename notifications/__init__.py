"""Notifications for Django that are stored and pushed to sockets, on top of `realtime`.

Site code imports its functions from here; each has an asynchronous version with an `a` in front, except `followers`,
`export_user` and `erase_user`.
It registers types of its own, with `notifications.types.register`, in a module `notification_types` of any app.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from notifications.announcements.publishing import (
        aannounce,
        acancel_announcement,
        announce,
        cancel_announcement,
    )
    from notifications.followables import register_followable
    from notifications.follows import afollow, amute, aunfollow, aunmute, follow, followers, mute, unfollow, unmute
    from notifications.personal import erase_user, export_user
    from notifications.preferences.explaining import aexplain, explain
    from notifications.sending import anotify, notify
    from notifications.withdrawing import awithdraw, withdraw

__all__ = [
    "aannounce",
    "acancel_announcement",
    "aexplain",
    "afollow",
    "amute",
    "announce",
    "anotify",
    "aunfollow",
    "aunmute",
    "awithdraw",
    "cancel_announcement",
    "erase_user",
    "explain",
    "export_user",
    "follow",
    "followers",
    "mute",
    "notify",
    "register_followable",
    "unfollow",
    "unmute",
    "withdraw",
]

_HOMES = {
    "aannounce": "notifications.announcements.publishing",
    "acancel_announcement": "notifications.announcements.publishing",
    "aexplain": "notifications.preferences.explaining",
    "announce": "notifications.announcements.publishing",
    "anotify": "notifications.sending",
    "awithdraw": "notifications.withdrawing",
    "cancel_announcement": "notifications.announcements.publishing",
    "erase_user": "notifications.personal",
    "explain": "notifications.preferences.explaining",
    "export_user": "notifications.personal",
    "notify": "notifications.sending",
    "register_followable": "notifications.followables",
    "withdraw": "notifications.withdrawing",
}


def __getattr__(name: str) -> Any:
    # Models cannot be imported while Django is still loading apps, so a function is imported on first use.
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "notifications.follows")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    # What a shell completes: a name that was not imported yet is in no dictionary.
    return sorted({*globals(), *__all__})
