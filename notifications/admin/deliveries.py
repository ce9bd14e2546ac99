"""Mails and web pushes in Django's admin: what became of each, and why. Failed mails can be tried again."""

from datetime import datetime
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_permission_codename
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from notifications import conf
from notifications.admin.mixins import LongListMixin, RecordAdminMixin
from notifications.mailing.reasons import REASONS
from notifications.mailing.retrying import RETRIED_AT_ONCE, retry_failed
from notifications.models import Delivery
from notifications.types import CHANNEL_NAMES
from realtime.integration import own_transaction, shorten

STAMPED = ["round", "created_at", "sent_at", "settled_at", "message_id"]
SHOWN_CHARS = 30  # of names, titles and errors in the list, so that there is room for the other columns


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


class ChannelFilter(WordFilter):
    title = _("channel")
    parameter_name = "channel"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(key, label) for key, label in CHANNEL_NAMES.items() if key != "socket"]  # these leave no delivery


class DeliveryAdminMixin(RecordAdminMixin, LongListMixin):
    """Read only, but for the action that tries failed mails again, which is a right of its own."""

    list_display = ["headline", "reader", "channel", "state", "short_reason", "moment"]
    list_display_links = ["headline"]
    list_filter = [ChannelFilter, StateFilter, ReasonFilter]
    search_help_text = _("The name or the address of a reader, or the whole id of a mail.")
    sortable_by = ()  # a table of millions would be sorted for it
    actions = ["retry_selected"]
    fields = ["notification", "user", "channel", "state", "why", "error", "attempts", "due_at", *STAMPED]
    readonly_fields = ["why", *STAMPED]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).prefetch_related("notification")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.{get_permission_codename('retry', self.opts)}")

    @admin.display(description=_("notification"))
    def headline(self, delivery: Delivery) -> str:
        return shorten(str(delivery.notification), SHOWN_CHARS)

    @admin.display(description=_("user"))
    def reader(self, delivery: Delivery) -> str:
        return shorten(str(delivery.user), SHOWN_CHARS)

    @admin.display(description=_("reason"))
    def why(self, delivery: Delivery) -> str | Promise:
        return REASONS.get(delivery.reason, delivery.reason)

    @admin.display(description=_("reason"), empty_value="")
    def short_reason(self, delivery: Delivery) -> str | None:
        """In the list, an error stands in its place."""
        return str(self.why(delivery)) or shorten(delivery.error, SHOWN_CHARS) or None

    @admin.display(description=_("due or settled"))
    def moment(self, delivery: Delivery) -> datetime:
        return delivery.settled_at or delivery.sent_at or delivery.due_at

    def match(self, term: str) -> Q:
        return Q(message_id__in=[term, f"<{term}>"])

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
