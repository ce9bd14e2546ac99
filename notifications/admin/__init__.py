"""The app in Django's admin: notifications, announcements, what staff sent, what readers have chosen, mails, jobs."""

from notifications.admin.announcements import AnnouncementAdmin
from notifications.admin.dispatches import DispatchAdmin
from notifications.admin.notifications import NotificationAdmin
from notifications.admin.preferences import PreferenceAdmin, ReaderAdmin
from notifications.admin.records import DeliveryAdmin, JobRunAdmin

__all__ = [
    "AnnouncementAdmin",
    "DeliveryAdmin",
    "DispatchAdmin",
    "JobRunAdmin",
    "NotificationAdmin",
    "PreferenceAdmin",
    "ReaderAdmin",
]
