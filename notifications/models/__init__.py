"""The app's tables. Other modules import them from here."""

from notifications.models.announcement import Announcement, AnnouncementState, AnnouncementText
from notifications.models.delivery import Delivery, JobRun
from notifications.models.dispatch import Dispatch
from notifications.models.follow import Follow
from notifications.models.notification import Change, GroupMember, Notification, NotificationQuerySet, validate_link
from notifications.models.preference import Digest, Preference, Reader
from notifications.models.switch import TypeSwitch

__all__ = [
    "Announcement",
    "AnnouncementState",
    "AnnouncementText",
    "Change",
    "Delivery",
    "Digest",
    "Dispatch",
    "Follow",
    "GroupMember",
    "JobRun",
    "Notification",
    "NotificationQuerySet",
    "Preference",
    "Reader",
    "TypeSwitch",
    "validate_link",
]
