"""Notifications for Django that are stored and pushed to sockets, on top of `realtime`.

Site code imports `notify` and its asynchronous twin `anotify` from here.
It registers types of its own with `notifications.types.register`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from notifications.sending import anotify, notify

__all__ = ["anotify", "notify"]


def __getattr__(name: str) -> Any:
    # Models cannot be imported while Django is still loading apps, so the functions are looked up on first use.
    if name in __all__:
        from notifications import sending

        return getattr(sending, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
