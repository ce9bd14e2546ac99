"""The base of the mixins of admin classes. Type checkers take it for the class that follows them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    AdminMixin = ModelAdmin[Any]
else:
    from realtime.integration import CarefulLinks, CarefulLists

    class AdminMixin(CarefulLists, CarefulLinks):
        """Goes before `ModelAdmin`, or before the class that another theme has in its place."""


__all__ = ["AdminMixin"]
