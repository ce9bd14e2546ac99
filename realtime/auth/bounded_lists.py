"""Lists of the admin that end after MOST_LISTED rows, so that no page counts a whole table. Used by both apps."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

if TYPE_CHECKING:
    # So that calls of `super()` have types. At run time, the class that puts the mixin before `ModelAdmin` has one.
    AdminMixin = admin.ModelAdmin[Any]
else:
    AdminMixin = object

MOST_LISTED = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """Pages of the first MOST_LISTED rows, whose keys are read once: so a filter without an index is one scan."""

    @cached_property
    def keys(self) -> list[Any]:
        rows: Any = self.object_list
        return list(rows.values_list("pk", flat=True)[: MOST_LISTED + 1])

    @cached_property
    def count(self) -> int:
        return min(len(self.keys), MOST_LISTED)

    @property
    def has_more(self) -> bool:
        return len(self.keys) > MOST_LISTED

    def page(self, number: Any) -> Any:
        number = self.validate_number(number)
        start = (number - 1) * self.per_page
        keys = self.keys[start : min(start + self.per_page, self.count)]
        rows: Any = self.object_list
        return Page(rows.filter(pk__in=keys), number, self)


class BoundedLists(AdminMixin):
    """For an admin class, before `ModelAdmin`. The template says that there are more rows than the list has."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they would count the table once for each choice
    change_list_template = "admin/realtime/long_list.html"

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any) -> Any:
        """Whoever selects all rows means those that the list has. Django passes `action_location` from 6.1 on."""
        if request.POST.get("select_across") == "1":
            listed = list(queryset.values_list("pk", flat=True)[: MOST_LISTED + 1])
            if len(listed) > MOST_LISTED:
                queryset = queryset.filter(pk__in=listed[:MOST_LISTED])
        return super().response_action(request, queryset, *args, **kwargs)
