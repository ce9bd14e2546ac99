"""Web push is a plug: the site sets a function that sends what readers have chosen to get in this way.

Called by `routing` in the transaction of `notify`, and by the jobs for what had to wait. Each is a row of `Delivery`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from django.db.models import QuerySet
from django.utils.module_loading import import_string
from django.utils.translation import override

from notifications import clock, conf, pushing
from notifications.frames import Item
from notifications.languages import languages_of
from notifications.mailing import claims, queue
from notifications.mailing.checking import find_end
from notifications.models import Delivery, Notification
from notifications.models.target import Target
from notifications.preferences.cascade import Decision
from notifications.preferences.deciding import Wishes, all_wishes
from notifications.types import find_type
from notifications.withholding import LAST_YEAR
from realtime.integration import call_after_commit, is_stopping, own_transaction, retry_conflicts

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 1_000
CHANGED = ("state", "reason", "rule", "due_at", "attempts", "error", "sent_at", "settled_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPush:
    """The same for all its readers: `ids` are those of their notifications, by primary key of the reader.

    `count` is above 1 if others had to wait as well; this is the newest of them.
    """

    ids: Mapping[Any, int]
    language: str
    type: str
    level: str
    title: str
    message: str
    link: str
    data: Mapping[str, Any]
    count: int = 1


def add(decisions: Mapping[int, tuple[Any, Decision]], wishes: Wishes) -> None:
    """Pass these notifications, by primary key and with their readers, to the site's function when they are committed.

    What is to wait is passed by the jobs, when its time has come.
    """
    queue.add(decisions, wishes, "web_push")
    now = [key for key, (_, decision) in decisions.items() if decision.is_sent]
    if now:
        call_after_commit(partial(_send_now, now))


def send_due(now: datetime) -> None:
    """Pass on what had to wait until now, and what a process has left that died after its commit."""
    due = Delivery.objects.filter(channel="web_push", state=Delivery.State.QUEUED, due_at__lte=now)
    while conf.settings().web_push and not is_stopping() and due.exists() and _send(due):
        pass


def _send_now(keys: Sequence[int]) -> None:
    queued = Delivery.objects.filter(channel="web_push", state=Delivery.State.QUEUED, due_at__lte=clock.now())
    for start in range(0, len(keys), ROWS_AT_ONCE):
        _send(queued.filter(notification__in=keys[start : start + ROWS_AT_ONCE]))


def _send(chosen: "QuerySet[Delivery, Any]") -> bool:
    """Returns whether there was anything to do. What is passed on was noted before: better none than two."""
    found, sent = _claim(chosen)
    if sent:
        try:
            import_string(str(conf.settings().web_push))(_build(sent))
        except Exception as error:
            logger.exception("The function WEB_PUSH failed")
            failed = Delivery.objects.filter(channel="web_push", notification__in=[row.pk for row in sent])
            failed.update(state=Delivery.State.FAILED, error=repr(error)[: claims.ERROR_CHARS])
    return bool(found)


@retry_conflicts
def _claim(chosen: "QuerySet[Delivery, Any]") -> tuple[list[Delivery], list[Notification]]:
    """Decide once more, and note it. Returns all deliveries that were looked at, and what is to be sent now."""
    with own_transaction():
        found = list(chosen.select_for_update(skip_locked=True).order_by("pk")[:ROWS_AT_ONCE])
        rows = Notification.objects.in_bulk([delivery.notification_id for delivery in found])
        now = clock.now()
        wishes = all_wishes(list(dict.fromkeys(delivery.user_id for delivery in found)), now)
        for delivery in found:
            _settle(delivery, rows.get(delivery.notification_id), wishes)
        Delivery.objects.bulk_update(found, CHANGED, batch_size=100)
    sent = [rows[delivery.notification_id] for delivery in found if delivery.state == Delivery.State.SENT]
    return found, sent


def _settle(delivery: Delivery, row: Notification | None, wishes: Wishes) -> None:
    if row is None or (reason := find_end(row, wishes.now)):
        claims.suppress([delivery], "deleted" if row is None else reason)
    elif row.snoozed_until is not None:
        claims.suppress([delivery], "snoozed")  # it is queued again when it comes back
    else:
        target = Target(row.target_type_id, row.target_key)
        decision = wishes.decide(row.recipient_id, find_type(row.type), "web_push", target, silent=row.silent)
        _obey(delivery, decision, wishes.now)


def _obey(delivery: Delivery, decision: Decision, now: datetime) -> None:
    if decision.is_sent:
        delivery.state, delivery.reason, delivery.rule = Delivery.State.SENT, "", decision.rule
        delivery.sent_at, delivery.attempts, delivery.error = now, delivery.attempts + 1, ""
    elif decision.until is None or decision.until.year == LAST_YEAR:
        claims.suppress([delivery], decision.rule)
    else:
        claims.postpone([delivery], decision.until, decision.rule)


def _build(rows: Sequence[Notification]) -> list[WebPush]:
    """One for all readers of a text; of what has waited for one reader, the newest."""
    newest: dict[Any, Notification] = {}
    counts: dict[Any, int] = {}
    for row in sorted(rows, key=lambda row: (row.arrived_at, row.pk)):
        newest[row.recipient_id] = row
        counts[row.recipient_id] = counts.get(row.recipient_id, 0) + 1
    languages = languages_of(list(newest))
    alike: dict[tuple[str, int, bytes], list[Notification]] = {}
    for reader, row in newest.items():
        if reader in languages:
            alike.setdefault((languages[reader], counts[reader], _fingerprint(row)), []).append(row)
    return [_push_of(same, language, count) for (language, count, _), same in alike.items()]


def _fingerprint(row: Notification) -> bytes:
    """The same for notifications that say the same."""
    texts = [row.type, row.params, row.title, row.message, row.link, row.data]
    return msgspec.json.encode([*texts, row.group_count, row.group_actors])


def _push_of(same: Sequence[Notification], language: str, count: int) -> WebPush:
    with override(language):
        item: Item = pushing.item(same[0])
    return WebPush(
        ids={row.recipient_id: row.pk for row in same},
        language=language,
        type=item.type,
        level=item.level,
        title=item.title,
        message=item.message,
        link=item.link,
        data=item.data,
        count=count,
    )
