"""Notifications in Django's admin: staff send, find and look at them, and act on those that they choose."""

from django.contrib import admin

from notifications.admin.acts import ActsMixin
from notifications.admin.lists import ListMixin
from notifications.admin.record_page import PageMixin
from notifications.admin.sending import SendMixin
from notifications.models import Notification
from realtime.integration import FindsUsers


class NotificationMixin(SendMixin, ListMixin, PageMixin, ActsMixin, FindsUsers):
    """Goes before `ModelAdmin`, or before that of another theme."""

    class Media:
        css = {"all": ["notifications/admin.css"]}


@admin.register(Notification)
class NotificationAdmin(NotificationMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    pass
