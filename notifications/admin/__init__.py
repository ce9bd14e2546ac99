"""The app in Django's admin: notifications, announcements, what readers have chosen, mails and jobs."""

from notifications.admin.announcements import AnnouncementAdmin
from notifications.admin.notifications import NotificationAdmin
from notifications.admin.preferences import PreferenceAdmin, ReaderAdmin
from notifications.admin.records import DeliveryAdmin, JobRunAdmin

__all__ = ["AnnouncementAdmin", "DeliveryAdmin", "JobRunAdmin", "NotificationAdmin", "PreferenceAdmin", "ReaderAdmin"]
