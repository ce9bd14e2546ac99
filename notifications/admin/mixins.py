"""What the mixins of the admin classes stand on. A site puts them before the `ModelAdmin` of its own admin theme."""

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from notifications.admin.bases import AdminMixin
from realtime.integration import BoundedLists, all_users, connection

# A search for a name that more users have finds what belongs to so many of them.
USERS_AT_MOST = 1_000


class StyledMixin(AdminMixin):
    """Adds a style sheet to those of the class that comes after it, and to those of a site's own `Media`."""

    style_sheets: tuple[str, ...] = ()

    @property
    def media(self) -> forms.Media:
        return super().media + forms.Media(css={"all": self.style_sheets})


class LockedMixin(AdminMixin):
    """A row is locked while a form is stored, so that nobody else changes or publishes it halfway."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is not None and request.method == "POST" and connection.in_atomic_block:
            try:
                found.refresh_from_db(from_queryset=self.model._default_manager.select_for_update())
            except self.model.DoesNotExist:  # somebody has just deleted it, which the admin says of what is not there
                return None
        return found


class LongListMixin(BoundedLists, StyledMixin):
    """A list of what belongs to users, with any number of rows."""

    style_sheets = ("notifications/admin.css",)
    search_fields = ["user"]  # shows the field for the search, which is `get_search_results`
    list_select_related = ()  # see `get_queryset`
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # A join would load the users of all rows of the pages before, too.
        return super().get_queryset(request).prefetch_related("user")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Django would compare the names of each row's user with the words."""
        term = search_term.strip()
        return (queryset.filter(Q(user__in=find_users(term)) | self.match(term)) if term else queryset), False

    def match(self, term: str) -> Q:
        """What a search finds besides the rows of users of this name."""
        return Q()


def find_users(term: str) -> list[Any]:
    """The primary keys of users with these characters in their name, or with this address.

    With a part of an address, staff who may not see addresses would find them out, letter by letter.
    """
    model: Any = get_user_model()
    address = getattr(model, "EMAIL_FIELD", "")
    matches = Q(**{f"{model.USERNAME_FIELD}__icontains": term})
    if address in {field.name for field in model._meta.fields} - {model.USERNAME_FIELD}:
        matches |= Q(**{f"{address}__iexact": term})
    return list(all_users().filter(matches).order_by().values_list("pk", flat=True)[:USERS_AT_MOST])


class RecordAdminMixin(AdminMixin):
    """What the app writes down, and nobody changes. Rows go with the user or the notification that they belong to."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The page that deletes a user asks this, too, for what is deleted with the user."""
        return not self._is_own_page(request) and super().has_delete_permission(request, obj)

    def _is_own_page(self, request: HttpRequest) -> bool:
        found = request.resolver_match
        return found is not None and (found.url_name or "").startswith(f"{self.opts.app_label}_{self.opts.model_name}_")
