"""Notifications in Django's admin: staff send, find and look at them, and act on those that they choose."""

from django.contrib import admin
from django.http import HttpRequest

from notifications.admin.acts import ActsMixin
from notifications.admin.lists import ListMixin
from notifications.admin.record_page import PageMixin
from notifications.admin.sending import SendMixin
from notifications.models import Notification
from realtime.integration import FindsUsers


class NotificationAdminMixin(SendMixin, ListMixin, PageMixin, ActsMixin, FindsUsers):
    """Goes before `ModelAdmin`, or before that of another theme."""

    class Media:
        css = {"all": ["notifications/admin.css"]}

    def may_find_users(self, request: HttpRequest) -> bool:
        return self.has_send_permission(request)


@admin.register(Notification)
class NotificationAdmin(NotificationAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    pass
