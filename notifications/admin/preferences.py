"""What readers have chosen, in Django's admin: staff look at it, and change it for them."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import HttpRequest

from notifications.admin.mixins import AdminMixin
from notifications.models import Preference, Reader
from notifications.preferences.changing import reconsider
from realtime.integration import FindsUsers


class ReaderAdminMixin(FindsUsers, AdminMixin):
    """What readers have chosen for all notifications."""

    list_display = ["user", "socket", "mail", "digest", "muted_until", "bounced_address"]
    list_filter = ["mail", "socket", "digest"]
    list_select_related = ["user"]
    readonly_fields = ["mailed_at"]
    search_fields = ["bounced_address", f"user__{get_user_model().USERNAME_FIELD}"]

    def save_model(self, request: HttpRequest, obj: Reader, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        reconsider(obj.user_id)


class PreferenceAdminMixin(FindsUsers, AdminMixin):
    """What readers have chosen for types and categories."""

    list_display = ["user", "scope", "key", "channel", "enabled"]
    list_filter = ["scope", "channel", "enabled"]
    list_select_related = ["user"]
    search_fields = ["key", f"user__{get_user_model().USERNAME_FIELD}"]

    def save_model(self, request: HttpRequest, obj: Preference, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        reconsider(obj.user_id)


# Generic in the type stubs only: hence the ignored errors.
class ReaderAdmin(ReaderAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    pass


class PreferenceAdmin(PreferenceAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    pass
