"""The app in Django's admin: rooms, members, messages, and what is going on at this moment."""

from realtime.admin.live import LiveAdmin
from realtime.admin.rooms import (
    NAME_CHARS,
    MemberInline,
    MembershipAdmin,
    MessageAdmin,
    NewMemberInline,
    RoomAdmin,
    RoomForm,
)

__all__ = [
    "NAME_CHARS",
    "LiveAdmin",
    "MemberInline",
    "MembershipAdmin",
    "MessageAdmin",
    "NewMemberInline",
    "RoomAdmin",
    "RoomForm",
]
