"""What readers have chosen, in Django's admin: staff look at it, and change it for them."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest

from notifications.admin.mixins import LongListMixin
from notifications.models import Preference, Reader
from notifications.preferences.changing import reconsider
from notifications.types import categories, find_type
from realtime.integration import FindsUsers


class ReaderAdminMixin(FindsUsers, LongListMixin):
    """What readers have chosen for all notifications."""

    list_display = ["user", "socket", "mail", "digest", "muted_until", "bounced_address"]
    list_filter = ["mail", "socket", "digest"]
    readonly_fields = ["mailed_at"]

    def match(self, term: str) -> Q:
        return Q(bounced_address__iexact=term) if "@" in term else Q()

    def save_model(self, request: HttpRequest, obj: Reader, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        reconsider(obj.user_id, has_unmuted=True)


class PreferenceAdminMixin(FindsUsers, LongListMixin):
    """What readers have chosen for types and categories."""

    list_display = ["user", "scope", "key", "channel", "enabled"]
    list_filter = ["scope", "channel", "enabled"]

    def match(self, term: str) -> Q:
        is_key = find_type(term) is not None or term in categories()
        return Q(key=term) if is_key else Q()

    def save_model(self, request: HttpRequest, obj: Preference, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        reconsider(obj.user_id, has_unmuted=True)


# Generic in the type stubs only: hence the ignored errors.
class ReaderAdmin(ReaderAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    pass


class PreferenceAdmin(PreferenceAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    pass
