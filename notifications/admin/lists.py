"""The list of notifications in the admin: filters, search and dates that stay quick with millions of rows. A mixin.

Nothing here counts or reads the whole table. A list ends after 10,000 rows; the newest come first, and no other order
is offered, because none has an index.
"""

from calendar import monthrange
from collections.abc import Sequence
from datetime import date
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from notifications import ages, texts, types
from notifications.admin.bases import AdminMixin
from notifications.admin.filters import CategoryFilter, LevelFilter, StateFilter, TypeFilter
from notifications.models import Notification
from realtime.integration import BoundedPaginator, all_users

# Of those whose name has the word that was searched.
MOST_READERS = 100


class BoundedList(ChangeList):
    """A page of the list, with the dates from which staff choose."""

    has_more = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title: Any = capfirst(self.opts.verbose_name_plural)  # nothing is selected to be changed

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        rows: Any = super().get_queryset(request, exclude_parameters)
        return ages.narrow(rows)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        paginator: Any = self.paginator
        self.has_more = paginator.has_more
        if not self.query and not self.has_active_filters:
            self.full_result_count: Any = self.result_count  # so that the page offers no way back to all
        if not self.multi_page or self.show_all:
            self.result_list: Any = self.queryset.filter(pk__in=paginator.keys[: self.result_count])

    @cached_property
    def dates(self) -> dict[str, Any]:
        """Links to years, months or days, as Django's date hierarchy has them, whether or not there is anything."""
        chosen = [_number(self.params.get(f"created_at__{part}")) for part in ("year", "month", "day")]
        year, month, day = chosen
        if year and month and day:
            shown = capfirst(formats.date_format(date(year, month, day), "MONTH_DAY_FORMAT"))
            back = self._link(capfirst(formats.date_format(date(year, month, 1), "YEAR_MONTH_FORMAT")), year, month)
            return {"back": back, "choices": [{"title": shown}]}
        if year and month:
            days = [date(year, month, number) for number in range(1, monthrange(year, month)[1] + 1)]
            choices = [self._link(str(one.day), year, month, one.day) for one in days]
            return {"back": self._link(str(year), year), "choices": choices}
        if year:
            months = [date(year, number, 1) for number in range(1, 13)]
            choices = [self._link(capfirst(formats.date_format(one, "F")), year, one.month) for one in months]
            return {"back": self._link(_("All dates")), "choices": choices}
        return {"back": None, "choices": [self._link(str(year), year) for year in _years()]}

    def _link(self, title: Any, *parts: int) -> dict[str, Any]:
        names = ("year", "month", "day")
        values = {f"created_at__{name}": part for name, part in zip(names, parts, strict=False)}
        return {"title": title, "link": self.get_query_string(values, ["created_at__"])}


def _number(value: Any) -> int | None:
    """Of a part of a date that has been chosen; Django has checked the whole."""
    return int(value[-1] if isinstance(value, list) else value) if value else None


def _years() -> Sequence[int]:
    """From the first row to the last one: their keys grow with time."""
    rows = Notification.objects.values_list("created_at", flat=True)
    first, last = rows.order_by("pk").first(), rows.order_by("-pk").first()
    if first is None or last is None:
        return ()
    return range(_local(first).year, _local(last).year + 1)


def _local(moment: Any) -> Any:
    return moment if timezone.is_naive(moment) else timezone.localtime(moment)


class ListMixin(AdminMixin):
    """What the list has, and how it searches."""

    list_display = ["recipient", "type_label", "rendered_title", "is_read", "created_at"]
    list_display_links = ["rendered_title"]
    list_filter = [StateFilter, TypeFilter, CategoryFilter, LevelFilter, "created_at"]
    list_select_related = ["recipient"]
    list_per_page = 50
    list_max_show_all = 200
    paginator = BoundedPaginator
    sortable_by = ()
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    date_hierarchy = "created_at"
    search_fields = [f"recipient__{get_user_model().USERNAME_FIELD}"]
    search_help_text = _("The name of a reader, or a type.")
    change_list_template = "admin/notifications/notification/change_list.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # The page of what staff have sent links to what it has stored.
        return lookup == "dedupe_key" or super().lookup_allowed(lookup, value, request)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> tuple[Any, bool]:
        """Readers are looked up first, and their notifications by an index."""
        for word in term.split():
            queryset = queryset.filter(self._condition_of(request, word))
        return queryset, False

    def _condition_of(self, request: HttpRequest, word: str) -> Q:
        readers = find_readers(word)
        if len(readers) > MOST_READERS:
            readers = readers[:MOST_READERS]
            text = _("Many people have “%(word)s” in their name. The list has the first %(count)d.")
            messages.warning(request, text % {"word": word, "count": MOST_READERS})
        keys = [kind.key for kind in types.all_types() if word.lower() in f"{kind.key} {texts.label_of(kind)}".lower()]
        conditions = [Q(recipient__in=readers)] * bool(readers) + [Q(type__in=keys)] * bool(keys)
        found = Q(pk__in=[])
        for condition in conditions:
            found |= condition
        return found

    @admin.display(description=_("type"))
    def type_label(self, notification: Notification) -> str:
        kind = types.find_type(notification.type)
        return texts.distinct_label_of(kind) if kind else notification.type

    @admin.display(description=_("title"))
    def rendered_title(self, notification: Notification) -> str:
        return notification.render().title

    @admin.display(description=_("read"), boolean=True)
    def is_read(self, notification: Notification) -> bool:
        return notification.is_read


def find_readers(word: str) -> list[Any]:
    """The primary keys of users with this name, or else of those who have the word in their name."""
    field = get_user_model().USERNAME_FIELD
    users = all_users().order_by("pk").values_list("pk", flat=True)
    try:
        exactly = list(users.filter(**{field: word})[:1])
    except (TypeError, ValueError, ValidationError):  # a word that no name can be, where names are numbers
        exactly = []
    return exactly or list(users.filter(**{f"{field}__icontains": word})[: MOST_READERS + 1])
