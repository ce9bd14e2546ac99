"""Real-time sockets, rooms, chat and presence for Django.

Site code imports its functions from here. Each has an asynchronous version with an `a` in front, except `topic` and
`frame`, which declare a topic and a frame.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from realtime.protocol.site_frames import frame
from realtime.protocol.topics import topic

if TYPE_CHECKING:
    from realtime.chat.rooms import acreate_room, create_room
    from realtime.delivery.publishing import (
        adisconnect_user,
        apublish,
        asend_to_user,
        disconnect_user,
        publish,
        send_to_user,
    )

__all__ = [
    "acreate_room",
    "adisconnect_user",
    "apublish",
    "asend_to_user",
    "create_room",
    "disconnect_user",
    "frame",
    "publish",
    "send_to_user",
    "topic",
]

_HOMES = {"acreate_room": "realtime.chat.rooms", "create_room": "realtime.chat.rooms"}


def __getattr__(name: str) -> Any:
    # Models cannot be imported while Django is still loading apps, so a function is imported on first use.
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "realtime.delivery.publishing")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    # What a shell completes: a name that was not imported yet is in no dictionary.
    return sorted({*globals(), *__all__})
