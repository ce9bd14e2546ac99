"""The filters of the list of notifications in the admin. None of them reads the table for its choices."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from notifications import texts, types
from notifications.inbox.lists import Filters, type_conditions
from notifications.models.announcement import LEVEL_NAMES

STATES: dict[str, tuple[Any, Q]] = {
    "unread": (_("unread"), Q(read_at__isnull=True)),
    "read": (_("read"), Q(read_at__isnull=False)),
    "unseen": (_("unseen"), Q(seen_at__isnull=True)),
    "archived": (_("archived"), Q(archived_at__isnull=False)),
    "snoozed": (_("snoozed"), Q(snoozed_until__isnull=False)),
    "withheld": (_("not pushed"), ~Q(withheld_by="")),
    "deleted": (_("deleted by its reader"), Q(deleted_at__isnull=False)),
}


class ChoiceFilter(admin.SimpleListFilter):
    """A choice that is not among the known ones changes nothing."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        raise NotImplementedError

    def condition(self, value: str) -> Q:
        raise NotImplementedError

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        known = {str(key) for key, _label in self.lookup_choices}
        return queryset.filter(self.condition(value)) if value in known else queryset


class StateFilter(ChoiceFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(key, label) for key, (label, _condition) in STATES.items()]

    def condition(self, value: str) -> Q:
        return STATES[value][1]


class TypeFilter(ChoiceFilter):
    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(kind.key, texts.distinct_label_of(kind)) for kind in types.all_types()]

    def condition(self, value: str) -> Q:
        return Q(type=value)


class CategoryFilter(ChoiceFilter):
    title = _("category")
    parameter_name = "category"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        # Also where no type has it: what is no longer registered counts as general.
        return list({**types.categories(), types.GENERAL: types.label_of_category(types.GENERAL)}.items())

    def condition(self, value: str) -> Q:
        return Q(*type_conditions(Filters(categories=[value])))


class LevelFilter(ChoiceFilter):
    title = _("level")
    parameter_name = "level"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(level, LEVEL_NAMES[level]) for level in types.LEVELS]

    def condition(self, value: str) -> Q:
        return Q(*type_conditions(Filters(levels=[value])))
