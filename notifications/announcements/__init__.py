"""Announcements: what staff say to many readers at once, with one row and one event however many they are.

Site code calls `announce` and `cancel_announcement` of `notifications`, and registers audiences with the function here.
"""

from notifications.announcements.audiences import register_audience

__all__ = ["register_audience"]
