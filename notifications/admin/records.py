"""What the app writes down, in Django's admin: mails and periodic jobs. Nobody changes it."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import HttpRequest

from notifications.models import Delivery, JobRun


class RecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What the app writes down, and nobody changes."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Delivery)
class DeliveryAdmin(RecordAdmin):
    """Mails that wait, were sent, or were not sent, and why."""

    list_display = ["notification", "user", "state", "reason", "attempts", "due_at", "sent_at"]
    list_filter = ["state"]
    list_select_related = ["notification", "user"]
    search_fields = ["message_id", f"user__{get_user_model().USERNAME_FIELD}"]
    date_hierarchy = "created_at"


@admin.register(JobRun)
class JobRunAdmin(RecordAdmin):
    """When each periodic job was run, and how it ended."""

    list_display = ["name", "due_at", "started_at", "ended_at", "error"]
