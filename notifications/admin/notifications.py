"""Notifications in Django's admin: staff can read them, mark them as read or unread, and send new ones."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from notifications import content, inbox, pushing, types
from notifications.languages import languages_of
from notifications.models import Notification, NotificationQuerySet
from realtime.integration import FindsUsers

SENT = ["recipient", "actor", "type", "title", "message", "link", "data"]
STAMPED = ["created_at", "read_at"]


class NotificationForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    type = forms.ChoiceField(label=capfirst(_("type")), choices=types.choices)
    title = forms.CharField(label=capfirst(_("title")), max_length=255)

    def clean_data(self) -> dict[str, Any]:
        try:
            return content.require_object(self.cleaned_data["data"] or {})
        except content.InvalidData as error:
            raise forms.ValidationError(_("Enter a JSON object.")) from error


class TypeFilter(admin.SimpleListFilter):
    # Django's own filter would query the table for all values that occur in it.
    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return types.choices()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(type=self.value()) if self.value() else queryset


class ReadFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "read"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("no", _("unread")), ("yes", _("read"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        unread = {"no": True, "yes": False}.get(self.value() or "")
        return queryset if unread is None else queryset.filter(read_at__isnull=unread)


class NotificationAdmin(FindsUsers, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    form = NotificationForm
    fields = [*SENT, *STAMPED]
    list_display = ["recipient", "type_title", "title", "is_read", "created_at"]
    list_display_links = ["title"]
    list_filter = [ReadFilter, TypeFilter, "created_at"]
    list_select_related = ["recipient"]
    search_fields = ["title", "message", f"recipient__{get_user_model().USERNAME_FIELD}"]
    date_hierarchy = "created_at"
    show_full_result_count = False  # it would count the whole table
    actions = ["mark_read", "mark_unread"]

    def get_readonly_fields(self, request: HttpRequest, obj: Notification | None = None) -> list[str]:
        """A notification that was sent cannot be changed."""
        return [*SENT, *STAMPED] if obj else STAMPED

    def save_model(self, request: HttpRequest, obj: Notification, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            pushing.push([obj], languages_of([obj.recipient_id]))

    @admin.display(description=_("type"), ordering="type")
    def type_title(self, notification: Notification) -> Any:
        return dict(types.choices()).get(notification.type, notification.type)

    @admin.display(description=_("read"), ordering="read_at", boolean=True)
    def is_read(self, notification: Notification) -> bool:
        return notification.is_read

    @admin.action(description=_("Mark selected notifications as read"), permissions=["change"])
    def mark_read(self, request: HttpRequest, queryset: NotificationQuerySet) -> None:
        self._report(request, inbox.mark_all("read", queryset))

    @admin.action(description=_("Mark selected notifications as unread"), permissions=["change"])
    def mark_unread(self, request: HttpRequest, queryset: NotificationQuerySet) -> None:
        self._report(request, inbox.mark_all("unread", queryset))

    def _report(self, request: HttpRequest, count: int) -> None:
        text = ngettext("%(count)d notification was changed.", "%(count)d notifications were changed.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)
