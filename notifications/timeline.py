"""What has become of one notification, step by step, for staff. Synchronous; called by the admin.

Whether it was delivered to an open page is not stored: a reader who has seen it has got it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from notifications.mailing.reasons import REASONS
from notifications.models import Delivery, Notification
from notifications.preferences.explaining import Explanation
from notifications.texts import Rendered


@dataclass(frozen=True, slots=True)
class Step:
    """`at` is None for what has no moment of its own; it stands after the step that it belongs to."""

    at: datetime | None
    label: str | Promise
    detail: str = ""


def build(row: Notification, explanations: Iterable[Explanation]) -> list[Step]:
    """The steps, the oldest first. `explanations` are those of `explain`."""
    found = {explanation.channel: explanation for explanation in explanations}
    steps = [*_arrival(row, found["socket"]), *_acts(row), *_mails(row, found["mail"])]
    # The sort keeps the order of those with the same moment.
    return sorted(steps, key=lambda step: step.at or row.arrived_at)


def _arrival(row: Notification, push: Explanation) -> Iterator[Step]:
    yield Step(row.created_at, _("Stored"))
    if row.arrived_at != row.created_at:
        yield Step(row.arrived_at, _("Arrived again"), _("It came back, or its group has grown."))
    if push.verdict == "sent":
        yield Step(row.arrived_at, _("Pushed"), push.text)
    else:
        yield Step(row.arrived_at, _("Not pushed"), push.text)
    if row.told_at is not None:
        yield Step(row.told_at, _("Told in a summary"))
    if row.withheld_until is not None:
        yield Step(row.withheld_until, _("A summary is due"))


def _acts(row: Notification) -> Iterator[Step]:
    if row.seen_at is not None:
        yield Step(row.seen_at, _("Seen"), _("By then it had been delivered."))
    if row.read_at is not None:
        yield Step(row.read_at, _("Read"))
    if row.acted_at is not None:
        yield Step(row.acted_at, _("Acted"), _label_of(row.render(), row.action))
    if row.archived_at is not None:
        yield Step(row.archived_at, _("Archived"))
    if row.deleted_at is not None:
        yield Step(row.deleted_at, _("Deleted by its reader"))
    if row.snoozed_until is not None:
        yield Step(row.snoozed_until, _("Comes back from a snooze"))
    if row.expires_at is not None:
        yield Step(row.expires_at, _("Expires"))


def _label_of(rendered: Rendered, key: str) -> str:
    return next((action.label for action in rendered.actions if action.key == key), key)


def _mails(row: Notification, mail: Explanation) -> Iterator[Step]:
    rounds = list(Delivery.objects.filter(notification=row, channel="mail").order_by("round"))
    if not rounds:
        yield Step(None, _("No mail"), mail.text)
        return
    for delivery in rounds:
        is_last = delivery is rounds[-1]  # which is what the explanation is about
        yield from _round(delivery, mail.text if is_last else str(REASONS.get(delivery.reason, delivery.reason)))


def _round(delivery: Delivery, reason: str) -> Iterator[Step]:
    state = Delivery.State(delivery.state)
    # What the reader wanted no mail of was never queued.
    if state != Delivery.State.SUPPRESSED or delivery.due_at > delivery.created_at:
        yield Step(delivery.created_at, _("Mail queued"))
    if delivery.sent_at is not None and state != Delivery.State.SENT:
        yield Step(delivery.sent_at, _("Mail sent"))
    values: dict[str, Any] = {"count": delivery.attempts}
    tries = _("Attempts: %(count)d.") % values if delivery.attempts else ""
    detail = " ".join(filter(None, [reason, tries, delivery.error]))
    yield Step(delivery.settled_at or delivery.sent_at or delivery.due_at, _mail_label(state), detail)


def _mail_label(state: Delivery.State) -> str:
    return {
        Delivery.State.QUEUED: _("Mail is due"),
        Delivery.State.SENT: _("Mail sent"),
        Delivery.State.FAILED: _("Mail failed"),
        Delivery.State.BOUNCED: _("Mail came back"),
        Delivery.State.SUPPRESSED: _("No mail"),
    }[state]
