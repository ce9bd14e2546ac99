"""Notifications in Django's admin: staff send, find and look at them, and act on those that they choose."""

from django.contrib import admin
from django.http import HttpRequest

from notifications.admin.acts import ActsMixin
from notifications.admin.lists import ListMixin
from notifications.admin.mixins import StyledMixin
from notifications.admin.record_page import PageMixin
from notifications.admin.sending import SendMixin
from realtime.integration import FindsUsers


class NotificationAdminMixin(SendMixin, ListMixin, PageMixin, ActsMixin, FindsUsers, StyledMixin):
    """Goes before `ModelAdmin`, or before that of another theme."""

    style_sheets = ("notifications/admin.css",)

    def may_find_users(self, request: HttpRequest) -> bool:
        return self.has_send_permission(request)


class NotificationAdmin(NotificationAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    pass
