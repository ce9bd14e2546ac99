"""What the mixins of the admin classes stand on. A site puts them before the `ModelAdmin` of its own admin theme."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.http import HttpRequest

if TYPE_CHECKING:
    # So that calls of `super()` have types. At run time, the class that a site or `notifications.admin` makes has one.
    from django.contrib.admin import ModelAdmin

    AdminMixin = ModelAdmin[Any]
else:
    AdminMixin = object


class StyledMixin(AdminMixin):
    """Adds a style sheet to those of the class that comes after it, and to those of a site's own `Media`."""

    style_sheets: tuple[str, ...] = ()

    @property
    def media(self) -> forms.Media:
        return super().media + forms.Media(css={"all": self.style_sheets})


class RecordAdminMixin(AdminMixin):
    """What the app writes down, and nobody changes. Rows go with the user or the notification that they belong to."""

    show_full_result_count = False

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
