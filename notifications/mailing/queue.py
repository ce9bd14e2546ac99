"""Queues mails and web pushes when notifications are stored, in the same transaction.

Called by `routing`, by `web_push` and by preferences.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from notifications import bulk, conf
from notifications.models import Delivery, Notification
from notifications.preferences import store
from notifications.preferences.cascade import Decision, Rule
from notifications.preferences.deciding import Wishes
from notifications.preferences.store import NOTHING_CHOSEN
from notifications.types import Channel
from notifications.withholding import LAST_YEAR
from realtime.integration import connection, rows, stored_id, user_column

# While a mail waits for one of these, its reader may change when it is due.
CHOSEN_REASONS = ("mute", "quiet_hours", "digest", "online")
# The reader's own choices against it. They may change, so they are noted; what else is against it can be derived.
REFUSALS: Mapping[Channel, tuple[Rule, ...]] = {
    "mail": ("channel", "type", "category"),
    "web_push": ("type", "category", "default"),  # the channel is off unless a reader wants it
}
# What readers have done with a notification, and may take back. What is suppressed for it can be sent after all.
TAKEN_BACK = ("read", "archived", "deleted", "snoozed")
INSERT = (
    "INSERT INTO {name} (notification_id, user_id, due_at, state, reason, channel, created_at,"
    " round, attempts, rule, lease, error, message_id, settled_at) SELECT {columns}, %s, %s, 1, 0, '', '', '', '',"
    " {settled} FROM {source}"
    " WHERE true ON CONFLICT (notification_id, channel, round) DO {conflict}"
)
CONFLICT: Mapping[Channel, str] = {
    # It locks nothing: a worker may be settling the mail that is there.
    "mail": "NOTHING",
    # Its group has grown: what has become of it so far no longer counts, nor does a call that is under way.
    "web_push": "UPDATE SET "
    + ", ".join(
        f"{name} = excluded.{name}"
        for name in ("due_at", "state", "reason", "attempts", "rule", "lease", "error", "sent_at", "settled_at")
    ),
}


def add(decisions: Mapping[int, tuple[Any, Decision]], wishes: Wishes, channel: Channel = "mail") -> None:
    """Queue a mail or a web push for each of these notifications, or note that its reader has chosen to get none.

    `decisions` are by primary key of the notification, with its reader. A mail is due when the reader has been away
    long enough, and everything is checked again then. A notification that has a mail already, because its group has
    grown, gets no other. A web push is due at once, or when the reader's quiet hours are over.
    """
    usual = bulk.moment(_due_at(None, wishes))
    due = {reader: bulk.moment(_due_at(reader, wishes)) for reader in wishes.choices}
    chosen = [
        key
        for key, (_reader, decision) in sorted(decisions.items(), key=_key)
        if decision.verdict != "off" or decision.rule in REFUSALS[channel]
    ]

    def values_of(key: int) -> dict[str, Any]:
        reader, decision = decisions[key]
        state = _state_of(decision, wishes.now, channel, due.get(reader, usual))
        return {"notification": key, "recipient": stored_id(reader), "settled": None, **state}

    table = rows(
        notification="bigint",
        recipient=user_column(),
        due="timestamptz",
        state="text",
        reason="text",
        settled="timestamptz",
    )
    given = dict(table.column)
    settled = given.pop("settled")
    parts = {"name": Delivery._meta.db_table, "columns": ", ".join(given.values()), "source": table.source}
    insert = INSERT.format(conflict=CONFLICT[channel], settled=settled, **parts)
    created_at = connection.ops.adapt_datetimefield_value(wishes.now)
    for part in bulk.parts(chosen):
        with connection.cursor() as cursor:
            cursor.execute(insert, [channel, created_at, bulk.as_json([values_of(key) for key in part])])


def _key(item: tuple[int, Any]) -> int:
    """Rows are written in the order of their notifications, in which everybody locks them."""
    return item[0]


def _state_of(decision: Decision, now: datetime, channel: Channel, when_away: str | None) -> dict[str, str | None]:
    if decision.verdict == "off":
        return _suppressed(decision, now)
    if channel == "mail":
        return {"due": when_away, "state": "queued", "reason": ""}
    until = decision.until
    if until is not None and until.year == LAST_YEAR:  # a mute without an end
        return _suppressed(decision, now)
    reason = "" if until is None else decision.rule
    return {"due": bulk.moment(until or now), "state": "queued", "reason": reason}


def _suppressed(decision: Decision, now: datetime) -> dict[str, str | None]:
    return {"due": bulk.moment(now), "state": "suppressed", "reason": decision.rule, "settled": bulk.moment(now)}


def add_again(decisions: Mapping[int, tuple[Any, Decision]], wishes: Wishes) -> None:
    """The same for mails of notifications that may have been mailed before, or not for a reason: another round begins.

    One whose mail still waits gets no other. The caller has locked the notifications.
    """
    add(decisions, wishes)
    wanted = [key for key, (_, decision) in decisions.items() if decision.verdict != "off"]
    found = Delivery.objects.filter(notification__in=wanted, channel="mail")
    # The rows are locked, so that nobody tries the last round of one again at the same time.
    locked = Delivery.objects.filter(pk__in=Delivery.lock(found)).order_by("round", "pk")
    last = {delivery.notification_id: delivery for delivery in locked}
    Delivery.objects.bulk_create(
        Delivery(
            notification_id=key,
            user_id=delivery.user_id,
            round=delivery.round + 1,
            due_at=_due_at(delivery.user_id, wishes),
            created_at=wishes.now,
        )
        for key, delivery in sorted(last.items(), key=_key)
        if delivery.state != Delivery.State.QUEUED
    )


def _due_at(reader: Any, wishes: Wishes) -> datetime:
    """When the reader will have been away long enough, if they leave now."""
    return wishes.now + timedelta(seconds=wishes.of(reader).away_seconds)


def forget_refusals(keys: Sequence[int]) -> None:
    """These notifications have grown: whether their readers want a mail is decided once more."""
    refused = Delivery.last_rounds().filter(
        channel="mail", state=Delivery.State.SUPPRESSED, reason__in=REFUSALS["mail"]
    )
    for start in range(0, len(keys), bulk.ROWS_AT_ONCE):
        refused.filter(notification__in=keys[start : start + bulk.ROWS_AT_ONCE]).delete()


def restore(keys: Sequence[int], now: datetime) -> None:
    """Queue again what was not sent because of an act that its reader has taken back: it is unread in the inbox again.

    `keys` are those of notifications. In the transaction of the act.
    """
    for part in bulk.parts(keys):
        _queue_again(Delivery.objects.filter(notification__in=part), Q(reason__in=TAKEN_BACK), now)


def restore_all(reader: Any, now: datetime, reasons: Sequence[str] = TAKEN_BACK) -> None:
    """`restore` for all that was not sent to a reader for one of these reasons."""
    _queue_again(Delivery.objects.filter(user_id=reader), Q(reason__in=reasons), now)


def _queue_again(chosen: "QuerySet[Delivery]", why: Q, now: datetime) -> None:
    settings = conf.settings()
    if not settings.mail and not settings.web_push:
        return
    queued, waiting = Q(state=Delivery.State.QUEUED), Notification.objects.in_inbox().unread()
    last = chosen.filter(Delivery.is_last(), queued | Q(state=Delivery.State.SUPPRESSED) & why)
    locked = Delivery.lock(last.filter(Exists(waiting.filter(pk=OuterRef("notification")))))
    again = why & (Q(state=Delivery.State.SUPPRESSED) | queued & Q(reason="snoozed"))
    put_back(Delivery.objects.filter(again), locked, now)


def put_back(chosen: "QuerySet[Delivery]", keys: Sequence[int], now: datetime) -> None:
    """Queue those of these deliveries again that are chosen. The caller has locked them."""
    values = {"state": Delivery.State.QUEUED, "reason": "", "due_at": now, "settled_at": None}
    for part in bulk.parts(keys):
        chosen.filter(pk__in=part).update(**values)


def put_back_outdated(settled: Sequence[Delivery], wishes: Wishes, now: datetime) -> None:
    """Queue again what a worker has just settled on the ground of acts or choices that have been taken back since.

    In the same transaction, so that whichever comes second sees the other: whoever takes something back locks these
    deliveries, too. `wishes` are those that the worker has seen.
    """
    stopped = [delivery.pk for delivery in settled if delivery.reason in TAKEN_BACK]
    if stopped:
        unread = Notification.objects.in_inbox().unread()
        put_back(Delivery.objects.filter(Exists(unread.filter(pk=OuterRef("notification")))), stopped, now)
    waiting = [delivery for delivery in settled if delivery.reason in CHOSEN_REASONS]
    if waiting:
        changed = wishes.changed_since(list(dict.fromkeys(delivery.user_id for delivery in waiting)))
        put_back(Delivery.objects.all(), [delivery.pk for delivery in waiting if delivery.user_id in changed], now)


def reconsider(reader: Any, now: datetime) -> None:
    """The reader has changed something: what waits for the reader's sake is checked again by the next job."""
    queued = Delivery.objects.filter(user_id=reader, state=Delivery.State.QUEUED)
    # All are locked: a worker may be about to commit that one of them waits because of what was chosen before.
    locked = Delivery.lock(queued)
    if not locked:
        return
    away = timedelta(seconds=store.load([reader]).get(reader, NOTHING_CHOSEN).away_seconds)
    for part in bulk.parts(locked):
        later = queued.filter(pk__in=part, due_at__gt=now)
        later.filter(channel="mail", reason="").update(due_at=F("created_at") + away)  # as if it were queued now
        later.filter(reason__in=CHOSEN_REASONS).update(due_at=now)
