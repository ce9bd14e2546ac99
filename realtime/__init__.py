"""Real-time sockets, rooms, chat and presence for Django.

What site code calls is importable from here; each name has an asynchronous twin with an `a` in front:
`publish`, `send_to_user`, `disconnect_user`. `topic` declares a topic and has none.
"""

from typing import TYPE_CHECKING, Any

from realtime.protocol.topics import topic

if TYPE_CHECKING:
    from realtime.delivery.publishing import (
        adisconnect_user,
        apublish,
        asend_to_user,
        disconnect_user,
        publish,
        send_to_user,
    )

__all__ = ["adisconnect_user", "apublish", "asend_to_user", "disconnect_user", "publish", "send_to_user", "topic"]


def __getattr__(name: str) -> Any:
    # Models cannot be imported while Django is still loading apps, so the verbs are looked up on first use.
    if name in __all__:
        from realtime.delivery import publishing

        return getattr(publishing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
