"""Web push is a plug: the site sets a function that sends what readers have chosen to get in this way.

Called by `routing` in the transaction of `notify`, and by the jobs for what had to wait. Each is a row of `Delivery`.
"""

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from django.db.models import Q, QuerySet
from django.utils.module_loading import import_string
from django.utils.translation import override

from notifications import clock, conf, pushing
from notifications.frames import Item
from notifications.languages import languages_of
from notifications.mailing import claims, queue
from notifications.mailing.checking import find_end
from notifications.mailing.claims import Claim
from notifications.mailing.recipients import load_users
from notifications.models import Delivery, Notification
from notifications.models.target import Target
from notifications.portions import keep_together, work_off
from notifications.preferences.cascade import Decision
from notifications.preferences.deciding import Wishes, all_wishes
from notifications.types import find_type
from notifications.withholding import LAST_YEAR
from realtime.integration import call_after_commit, own_transaction, retry_conflicts

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 1_000
CHANGED = ("state", "reason", "rule", "due_at", "attempts", "error", "settled_at", "lease", "leased_until")
# For staff, like what the function raises.
NO_ANSWER = "The function WEB_PUSH has not returned, or its process has ended."


# True in a periodic job, which leaves them to the job for web pushes: a function that hangs stops that one alone.
_left_to_jobs: ContextVar[bool] = ContextVar("left_to_jobs", default=False)


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

    What is to wait is passed by the jobs, when its time has come, and so is what a job sends itself.
    """
    queue.add(decisions, wishes, "web_push")
    now = [key for key, (_, decision) in decisions.items() if decision.is_sent]
    if now and not _left_to_jobs.get():
        call_after_commit(partial(_send_now, now))


@contextmanager
def left_to_jobs() -> Iterator[None]:
    token = _left_to_jobs.set(True)
    try:
        yield
    finally:
        _left_to_jobs.reset(token)


def send_due(now: datetime) -> bool:
    """Pass on what had to wait until now, and what a process has left that died after its commit.

    A call that has not returned for long has failed. Without a function, what is due is suppressed. Returns whether
    some are left for the next run.
    """
    due = _due(now)
    return work_off(due.order_by("due_at"), partial(_send, due))


def _send_now(keys: Sequence[int]) -> None:
    due = _due(clock.now())
    for start in range(0, len(keys), ROWS_AT_ONCE):
        _send(due.filter(notification__in=keys[start : start + ROWS_AT_ONCE]))


def _due(now: datetime) -> "QuerySet[Delivery, Any]":
    free = Q(lease="") | Q(leased_until__lte=now)
    return Delivery.objects.filter(free, channel="web_push", state=Delivery.State.QUEUED, due_at__lte=now)


def _send(chosen: "QuerySet[Delivery, Any]") -> bool:
    """Returns whether there was anything to do. What was claimed is passed on once at most: better none than two."""
    count, claimed, rows = _claim(chosen)
    if rows:
        _pass_on(claimed, rows)
    return count > 0


def _pass_on(claimed: Claim, rows: Sequence[Notification]) -> None:
    """Call the site's function, and note what has become of it. If it never returns, a job notes that later."""
    try:
        import_string(str(conf.settings().web_push))(_build(rows))
    except Exception as error:
        logger.exception("The function WEB_PUSH failed")
        for delivery in claimed.deliveries:
            delivery.state, delivery.error = Delivery.State.FAILED, repr(error)
    else:
        now = clock.now()
        for delivery in claimed.deliveries:
            delivery.state, delivery.sent_at = Delivery.State.SENT, now
    claims.settle(claimed, claimed.deliveries)


def _lock(chosen: "QuerySet[Delivery, Any]") -> list[Delivery]:
    """What waits for a reader stays together, because it is one push."""
    first = chosen.order_by("due_at").values_list("user_id", flat=True)[:ROWS_AT_ONCE]
    of_readers = chosen.filter(user__in=list(dict.fromkeys(first))).select_for_update(skip_locked=True)
    found = list(of_readers.order_by("user_id", "pk")[: ROWS_AT_ONCE + 1])
    return keep_together(found, ROWS_AT_ONCE, "user_id")


@retry_conflicts
def _claim(chosen: "QuerySet[Delivery, Any]") -> tuple[int, Claim, list[Notification]]:
    """Decide once more, and note it. Returns how many deliveries were looked at, and what is to be sent now."""
    now = clock.now()
    claimed = Claim(secrets.token_hex(16), now + claims.LEASE, sent := [])
    with own_transaction():
        found = _lock(chosen)
        rows = Notification.objects.in_bulk([delivery.notification_id for delivery in found])
        readers = list(dict.fromkeys(delivery.user_id for delivery in found))
        users, wishes = load_users(readers), all_wishes(readers, now)
        for delivery in found:
            if _is_wanted(delivery, rows.get(delivery.notification_id), wishes, delivery.user_id in users):
                delivery.attempts, delivery.lease, delivery.leased_until = 1, claimed.token, claimed.until
                sent.append(delivery)
            else:
                delivery.lease, delivery.leased_until = "", None
                delivery.settled_at = None if delivery.state == Delivery.State.QUEUED else now
        Delivery.objects.bulk_update(found, CHANGED, batch_size=100)
    return len(found), claimed, [rows[delivery.notification_id] for delivery in sent]


def _is_wanted(delivery: Delivery, row: Notification | None, wishes: Wishes, is_active: bool) -> bool:
    """Whether it is to be sent now; else it is suppressed or postponed, or has failed."""
    if delivery.lease:
        delivery.state, delivery.error = Delivery.State.FAILED, NO_ANSWER
        return False
    if reason := _find_obstacle(row, wishes.now, is_active):
        claims.suppress([delivery], reason)
        return False
    assert row is not None
    target = Target(row.target_type_id, row.target_key)
    decision = wishes.decide(row.recipient_id, find_type(row.type), "web_push", target, silent=row.silent)
    if decision.is_sent:
        delivery.reason, delivery.rule = "", decision.rule
    elif decision.until is None or decision.until.year == LAST_YEAR:
        claims.suppress([delivery], decision.rule)
    else:
        claims.postpone([delivery], decision.until, decision.rule)
    return decision.is_sent


def _find_obstacle(row: Notification | None, now: datetime, is_active: bool) -> str:
    """Why it is not sent, whatever the reader has chosen; empty if nothing is against it."""
    if row is None or (reason := find_end(row, now)):
        return "deleted" if row is None else reason
    if row.snoozed_until is not None:
        return "snoozed"  # it is queued again when it comes back
    if not conf.settings().web_push:
        return "site"
    return "" if is_active else "inactive"


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
