"""What the app writes down, in Django's admin: periodic jobs. Nobody changes it."""

from django.contrib import admin

from notifications.admin.mixins import RecordAdminMixin


class JobRunAdminMixin(RecordAdminMixin):
    """When each periodic job was run, and how it ended."""

    list_display = ["name", "due_at", "started_at", "ended_at", "error"]
    list_display_links = ["name"]


class JobRunAdmin(JobRunAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    pass
