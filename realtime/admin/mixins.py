"""What the mixins of the admin classes stand on. A site puts them before the `ModelAdmin` of its own admin theme."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin

from realtime.auth.admin_links import CarefulLinks
from realtime.auth.admin_lists import CarefulLists

if TYPE_CHECKING:
    # So that calls of `super()` have types. At run time, the class that puts a mixin before `ModelAdmin` has one.
    AdminMixin = admin.ModelAdmin[Any]
else:

    class AdminMixin(CarefulLists, CarefulLinks):
        """Goes before `ModelAdmin`, or before the class that another theme has in its place."""


class StyledMixin(AdminMixin):
    """Adds our style sheet to those of the class that comes after it, and to those of a site's own `Media`."""

    @property
    def media(self) -> forms.Media:
        return super().media + forms.Media(css={"all": ["realtime/admin.css"]})
