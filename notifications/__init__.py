"""Stored and pushed notifications for Django, on top of `realtime`.

What site code calls is importable from here: `notify`, and its asynchronous twin `anotify`.
A site's own types are registered with `notifications.types.register`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from notifications.inbox import anotify, notify

__all__ = ["anotify", "notify"]


def __getattr__(name: str) -> Any:
    # Models cannot be imported while Django is still loading apps, so the verbs are looked up on first use.
    if name in __all__:
        from notifications import inbox

        return getattr(inbox, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
