"""The app in Django's admin: rooms, members, messages, and what is going on at this moment.

A site with an `AdminSite` of its own calls `register`. One with another admin theme sets `ADMIN` to False in REALTIME,
and puts the mixins before the `ModelAdmin` of that theme.
"""

from typing import Any

from django.contrib import admin
from django.db.models import Model

from realtime import conf
from realtime.admin.live import LiveAdmin, LiveAdminMixin
from realtime.admin.rooms import (
    NAME_CHARS,
    MemberInline,
    MembershipAdmin,
    MembershipAdminMixin,
    MessageAdmin,
    MessageAdminMixin,
    NewMemberInline,
    RoomAdmin,
    RoomAdminMixin,
    RoomForm,
)
from realtime.models import Live, Membership, Message, Room

__all__ = [
    "NAME_CHARS",
    "LiveAdmin",
    "LiveAdminMixin",
    "MemberInline",
    "MembershipAdmin",
    "MembershipAdminMixin",
    "MessageAdmin",
    "MessageAdminMixin",
    "NewMemberInline",
    "RoomAdmin",
    "RoomAdminMixin",
    "RoomForm",
    "register",
]

CLASSES: "dict[type[Model], type[admin.ModelAdmin[Any]]]" = {
    Room: RoomAdmin,
    Membership: MembershipAdmin,
    Message: MessageAdmin,
    Live: LiveAdmin,
}


def register(site: admin.AdminSite) -> None:
    """Add all classes to this site."""
    for model, admin_class in CLASSES.items():
        site.register(model, admin_class)


if conf.has_admin():
    register(admin.site)
