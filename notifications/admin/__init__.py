"""The app in Django's admin: notifications, what staff sent, types, announcements, readers' choices, mails and jobs.

A site with an `AdminSite` of its own calls `register`. One with another admin theme sets `ADMIN` to False in
NOTIFICATIONS, and puts the mixins before the `ModelAdmin` of that theme.
"""

from typing import Any

from django.contrib import admin
from django.db.models import Model

from notifications import conf
from notifications.admin.announcements import AnnouncementAdmin, AnnouncementAdminMixin
from notifications.admin.deliveries import DeliveryAdmin, DeliveryAdminMixin
from notifications.admin.dispatches import DispatchAdmin, DispatchAdminMixin
from notifications.admin.notifications import NotificationAdmin, NotificationAdminMixin
from notifications.admin.preferences import (
    PreferenceAdmin,
    PreferenceAdminMixin,
    ReaderAdmin,
    ReaderAdminMixin,
)
from notifications.admin.records import JobRunAdmin, JobRunAdminMixin
from notifications.admin.types import TypeAdmin, TypeAdminMixin
from notifications.models import (
    Announcement,
    Delivery,
    Dispatch,
    JobRun,
    Notification,
    Preference,
    Reader,
    TypeSwitch,
)

__all__ = [
    "AnnouncementAdmin",
    "AnnouncementAdminMixin",
    "DeliveryAdmin",
    "DeliveryAdminMixin",
    "DispatchAdmin",
    "DispatchAdminMixin",
    "JobRunAdmin",
    "JobRunAdminMixin",
    "NotificationAdmin",
    "NotificationAdminMixin",
    "PreferenceAdmin",
    "PreferenceAdminMixin",
    "ReaderAdmin",
    "ReaderAdminMixin",
    "TypeAdmin",
    "TypeAdminMixin",
    "register",
]

CLASSES: "dict[type[Model], type[admin.ModelAdmin[Any]]]" = {
    Notification: NotificationAdmin,
    Dispatch: DispatchAdmin,
    TypeSwitch: TypeAdmin,
    Announcement: AnnouncementAdmin,
    Reader: ReaderAdmin,
    Preference: PreferenceAdmin,
    Delivery: DeliveryAdmin,
    JobRun: JobRunAdmin,
}


def register(site: admin.AdminSite) -> None:
    """Add all classes to this site."""
    for model, admin_class in CLASSES.items():
        site.register(model, admin_class)


if conf.has_admin():
    register(admin.site)
