"""Mails in Django's admin: those that wait, were sent, or were not sent, and why. Failed ones can be tried again."""

from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_permission_codename, get_user_model
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from notifications import conf
from notifications.admin.mixins import RecordAdminMixin
from notifications.mailing.reasons import REASONS
from notifications.mailing.retrying import RETRIED_AT_ONCE, retry_failed
from notifications.models import Delivery
from realtime.integration import all_users, own_transaction

STAMPED = ["created_at", "sent_at", "message_id"]
SHOWN_CHARS = 30  # of names, titles and errors in the list, so that there is room for the other columns
# A search for a name that more users have finds the mails of so many of them.
USERS_AT_MOST = 1_000


class WordFilter(admin.SimpleListFilter):
    """Filters by a column with one of some words. Nothing has another one, whatever the address says."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        is_known = self.value() in dict(self.lookup_choices)
        return queryset.filter(**{str(self.parameter_name): self.value()}) if is_known else queryset.none()


class StateFilter(WordFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Delivery.State.choices)


class ReasonFilter(WordFilter):
    # Django's own filter would query the table for all values that occur in it.
    title = _("reason")
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(REASONS.items())


class DeliveryAdminMixin(RecordAdminMixin):
    """Read only, but for the action that tries failed mails again, which is a right of its own."""

    list_display = ["headline", "reader", "state", "short_reason", "moment"]
    list_display_links = ["headline"]
    list_filter = [StateFilter, ReasonFilter]
    list_select_related = ()  # see `get_queryset`
    list_per_page = 50
    search_fields = ["message_id"]  # shows the field for the search, which is `get_search_results`
    search_help_text = _("The name or the address of a reader, or the whole id of a mail.")
    show_facets = admin.ShowFacets.NEVER  # it would count the table once for each reason
    sortable_by = ()  # a table of millions would be sorted for it
    actions = ["retry_selected"]
    fields = ["notification", "user", "channel", "state", "why", "error", "attempts", "due_at", *STAMPED]
    readonly_fields = ["why", *STAMPED]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        # A join would load both for all rows of the pages before, too.
        return super().get_queryset(request).prefetch_related("notification", "user")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.{get_permission_codename('retry', self.opts)}")

    @admin.display(description=_("notification"))
    def headline(self, delivery: Delivery) -> str:
        return Truncator(str(delivery.notification)).chars(SHOWN_CHARS)

    @admin.display(description=_("user"))
    def reader(self, delivery: Delivery) -> str:
        return Truncator(str(delivery.user)).chars(SHOWN_CHARS)

    @admin.display(description=_("reason"))
    def why(self, delivery: Delivery) -> str | Promise:
        return REASONS.get(delivery.reason, delivery.reason)

    @admin.display(description=_("reason"), empty_value="")
    def short_reason(self, delivery: Delivery) -> str | None:
        """In the list, an error stands in its place."""
        return str(self.why(delivery)) or Truncator(delivery.error).chars(SHOWN_CHARS) or None

    @admin.display(description=_("due or sent"))
    def moment(self, delivery: Delivery) -> datetime:
        return delivery.sent_at or delivery.due_at

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By indexes: Django would compare each mail's user and id with the words."""
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = Q(user__in=_find_users(term)) | Q(message_id__in=[term, f"<{term}>"])
        return queryset.filter(wanted), False

    @admin.action(description=_("Try selected failed mails again"), permissions=["retry"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        selected, staff = queryset.count(), cast(Any, request.user).pk
        with own_transaction():
            queued = retry_failed(queryset)
            LogEntry.objects.log_actions(staff, queued, CHANGE, str(_("Queued again.")))
        self._report(request, len(queued), selected - len(queued))

    def _report(self, request: HttpRequest, count: int, others: int) -> None:
        text = ngettext("%(count)d mail is queued again.", "%(count)d mails are queued again.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)
        if others:
            text = ngettext(
                "%(count)d was left as it is: only failed mails are tried again, and %(most)d at once.",
                "%(count)d were left as they are: only failed mails are tried again, and %(most)d at once.",
                others,
            )
            self.message_user(request, text % {"count": others, "most": RETRIED_AT_ONCE}, messages.WARNING)
        if count and not conf.settings().mail:
            self.message_user(request, _("They wait: this site sends no mails at the moment."), messages.WARNING)


class DeliveryAdmin(DeliveryAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    pass


def _find_users(term: str) -> list[Any]:
    """The primary keys of users with these characters in their name or address."""
    model: Any = get_user_model()
    names = {model.USERNAME_FIELD, getattr(model, "EMAIL_FIELD", "")} & {field.name for field in model._meta.fields}
    matches = reduce(or_, (Q(**{f"{name}__icontains": term}) for name in sorted(names)))
    return list(all_users().filter(matches).order_by().values_list("pk", flat=True)[:USERS_AT_MOST])
