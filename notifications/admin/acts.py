"""What staff do with notifications that they have chosen in the list. A mixin.

Each act has its right and a line in the admin's log with the number of notifications; open clients hear of it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from notifications import clock, inbox, waking
from notifications.admin import exporting
from notifications.admin.steps import StepsMixin
from notifications.frames import Act
from notifications.models import Notification, NotificationQuerySet
from notifications.withdrawing import withdraw_rows
from realtime.integration import own_transaction, retry_conflicts

# In one request. A page that asks sends one field for each.
MOST_AT_ONCE = 500
NAMED = 20


class ActsMixin(StepsMixin):
    """The acts, and their rights."""

    actions = ["mark_read", "mark_unread", "archive", "send_again", "withdraw", "export"]
    withdraw_template = "admin/notifications/notification/withdraw.html"

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_right(request, "export")

    def has_send_permission(self, request: HttpRequest) -> bool:
        return self.has_right(request, "send")

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        """Deleting is withdrawing: open clients hear of that. Django passes `action_location` from 6.1 on."""
        given = {} if action_location is None else {"action_location": action_location}
        found: dict[str, Any] = super().get_actions(request, **given)
        found.pop("delete_selected", None)
        return found

    def delete_model(self, request: HttpRequest, obj: Notification) -> None:
        withdraw_rows(Notification.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        withdraw_rows(queryset)

    @admin.action(description=_("Mark selected notifications as read"), permissions=["change"])
    def mark_read(self, request: HttpRequest, queryset: NotificationQuerySet) -> None:
        self._mark(request, queryset, "read", _("Marked as read: %(count)d."))

    @admin.action(description=_("Mark selected notifications as unread"), permissions=["change"])
    def mark_unread(self, request: HttpRequest, queryset: NotificationQuerySet) -> None:
        self._mark(request, queryset, "unread", _("Marked as unread: %(count)d."))

    @admin.action(description=_("Archive selected notifications"), permissions=["change"])
    def archive(self, request: HttpRequest, queryset: NotificationQuerySet) -> None:
        self._mark(request, queryset, "archive", _("Archived: %(count)d."))

    @admin.action(description=_("Send selected notifications again"), permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: NotificationQuerySet) -> None:
        if (chosen := self._choose(request, queryset)) is not None:
            send = partial(waking.send_again, [row.pk for row in chosen], clock.now())
            self._do(request, send, _("Sent again: %(count)d."), chosen)

    @admin.action(description=_("Withdraw selected notifications…"), permissions=["delete"])
    def withdraw(self, request: HttpRequest, queryset: NotificationQuerySet) -> HttpResponse | None:
        if (chosen := self._choose(request, queryset)) is None:
            return None
        if "_confirmed" not in request.POST:
            context = {"title": _("Withdraw notifications"), "chosen": chosen, "named": chosen[:NAMED]}
            return self.show_step(request, self.withdraw_template, context)
        self._do(request, partial(withdraw_rows, _rows_of(chosen)), _("Withdrawn: %(count)d."), chosen)
        return None

    @admin.action(description=_("Export selected notifications as CSV"), permissions=["export"])
    def export(self, request: HttpRequest, queryset: NotificationQuerySet) -> HttpResponseBase:
        self.log_many(request, _("Exported as CSV: %(count)d.") % {"count": queryset.order_by().count()})
        return exporting.respond(request, queryset)

    def _mark(self, request: HttpRequest, queryset: NotificationQuerySet, act: Act, text: str | Promise) -> None:
        if (chosen := self._choose(request, queryset)) is not None:
            self._do(request, partial(inbox.mark_all, act, _rows_of(chosen)), text, chosen)

    def _choose(self, request: HttpRequest, queryset: NotificationQuerySet) -> list[Notification] | None:
        """The notifications; None if there are too many for one request, which the page then says."""
        chosen = list(queryset.order_by("pk")[: MOST_AT_ONCE + 1])
        if len(chosen) <= MOST_AT_ONCE:
            return chosen
        text = _("Choose %(count)d notifications at most. Nothing was changed.") % {"count": MOST_AT_ONCE}
        messages.error(request, text)
        return None

    def _do(
        self, request: HttpRequest, work: Callable[[], int], text: str | Promise, chosen: Sequence[Notification]
    ) -> None:
        messages.success(request, self._do_and_log(request, work, text, chosen))

    @retry_conflicts
    def _do_and_log(
        self, request: HttpRequest, work: Callable[[], int], text: str | Promise, chosen: Sequence[Notification]
    ) -> str:
        """In one transaction, so that nothing is done which is not in the log. Returns what was done."""
        with own_transaction():
            count = work()
            done = str(text) % {"count": count}
            if count:
                self.log_many(request, done, only=chosen[0] if len(chosen) == 1 else None)
        return done


def _rows_of(chosen: Sequence[Notification]) -> NotificationQuerySet:
    return Notification.objects.filter(pk__in=[row.pk for row in chosen])
