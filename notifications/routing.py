"""Which of a notification's readers get it now, later, by mail or not at all. Called by `sending` and by `waking`."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from notifications import bulk, clock, conf, web_push, withholding
from notifications.content import Content
from notifications.mailing import queue
from notifications.models import Notification
from notifications.models.target import Target
from notifications.preferences import changing
from notifications.preferences.cascade import Decision
from notifications.preferences.deciding import Wishes, all_wishes, wishes_for
from notifications.types import Channel, find_type
from realtime import integration

logger = logging.getLogger(__name__)

# By channel, the decisions for notifications by their primary keys.
Decided = Mapping[Channel, Mapping[int, Decision]]


def find_present(stream: str, keys: Sequence[Any]) -> frozenset[Any]:
    """Those of the users who have this room's stream open on a socket. Raises ValueError for another stream.

    While that cannot be known, nobody counts as present: better a push too many than a notification that is missed.
    """
    try:
        return integration.find_present(stream, keys)
    except (integration.StoreUnavailable, TimeoutError) as error:
        logger.warning("Nobody counts as present in %s: %s", stream, error)
        return frozenset()


def deliver(content: Content, ids: Mapping[Any, int], push: Callable[[Sequence[Any]], None]) -> list[Any]:
    """Push to those readers who get it now, withhold it from the others, and queue the mails.

    `ids` are those of the stored notifications, by reader. Returns the readers who get it now.
    """
    wishes = wishes_for(list(ids), content.kind, content.target, content.now)
    decisions = _decide(content, ids, wishes, "socket")
    pushed = [reader for reader in ids if decisions[reader].is_sent]
    if not content.kind.critical:
        decisions |= _too_many(pushed, content.now)
        pushed = [reader for reader in ids if decisions[reader].is_sent]
    unusual = [r for r in ids if not decisions[r].is_sent or decisions[r].rule != content.usual_rule]
    withholding.note({ids[reader]: decisions[reader] for reader in unusual})
    if content.group_key:
        withholding.forget([ids[reader] for reader in pushed])
    if conf.settings().mail:
        if content.group_key:
            queue.forget_refusals(list(ids.values()))
        mailed = _decide(content, ids, wishes, "mail")
        queue.add({ids[reader]: (reader, mailed[reader]) for reader in ids}, wishes)
    decided: dict[Channel, dict[int, Decision]] = {"socket": {ids[reader]: decisions[reader] for reader in unusual}}
    if conf.settings().web_push:
        wanted = _decide(content, ids, wishes, "web_push")
        web_push.add({ids[reader]: (reader, _limit(wanted[reader], decisions[reader])) for reader in ids}, wishes)
        decided["web_push"] = {ids[reader]: wanted[reader] for reader in wishes.special() & ids.keys()}
    _compare_after_commit(decided)
    if pushed:
        push(pushed)
    return pushed


def choose_pushed(rows: Sequence[Notification], now: datetime) -> list[Notification]:
    """Those of the stored notifications, of any readers, that are pushed now. Each says why it is, or is not."""
    wishes = all_wishes([row.recipient_id for row in rows], now)
    decisions = {row.pk: _decide_for(row, wishes) for row in rows}
    limited = [row for row in rows if decisions[row.pk].is_sent and decisions[row.pk].rule != "critical"]
    full = _too_many([row.recipient_id for row in limited], now)
    decisions |= {row.pk: full[row.recipient_id] for row in limited if row.recipient_id in full}
    withholding.note(decisions)
    decided: dict[Channel, dict[int, Decision]] = {"socket": decisions}
    if conf.settings().web_push:
        wanted = {row.pk: _limit(_decide_for(row, wishes, "web_push"), decisions[row.pk]) for row in rows}
        web_push.add({row.pk: (row.recipient_id, wanted[row.pk]) for row in rows}, wishes)
        decided["web_push"] = wanted
    _compare_after_commit(decided)
    return [row for row in rows if decisions[row.pk].is_sent]


def mail_again(rows: Sequence[Notification], now: datetime) -> None:
    """Queue mails of stored notifications that are unread again. Those that still wait stay."""
    if not conf.settings().mail:
        return
    wishes = all_wishes([row.recipient_id for row in rows], now)
    mailed = {row.pk: (row.recipient_id, _decide_for(row, wishes, "mail")) for row in rows}
    queue.add_again(mailed, wishes)


def _decide(content: Content, readers: Mapping[Any, int], wishes: Wishes, channel: Channel) -> dict[Any, Decision]:
    """The decision for each reader. Nearly all have chosen nothing, and are decided together."""
    decisions = dict.fromkeys(readers, wishes.decide(None, content.kind, channel))
    for reader in wishes.special():
        decisions[reader] = wishes.decide(reader, content.kind, channel, content.target)
    return decisions


def _decide_for(row: Notification, wishes: Wishes, channel: Channel = "socket") -> Decision:
    target = Target(row.target_type_id, row.target_key)
    return wishes.decide(row.recipient_id, find_type(row.type), channel, target, silent=row.silent)


def _compare_after_commit(decided: Decided) -> None:
    """Who changes their choices before this is committed does not find what waits because of them: look once more."""
    waiting: Decided = {
        channel: {key: one for key, one in decisions.items() if one.rule in changing.DEFERRING}
        for channel, decisions in decided.items()
    }
    if any(waiting.values()):
        integration.call_after_commit(partial(_compare, waiting))


def _compare(waiting: Decided) -> None:
    """Decide again for those readers for whom something else holds now."""
    for keys in bulk.parts(sorted({key for decisions in waiting.values() for key in decisions})):
        rows = list(Notification.objects.filter(pk__in=keys))
        wishes = all_wishes(list(dict.fromkeys(row.recipient_id for row in rows)), clock.now())
        changed = {
            row.recipient_id
            for channel, decisions in waiting.items()
            for row in rows
            if row.pk in decisions and decisions[row.pk] != _decide_for(row, wishes, channel)
        }
        for reader in sorted(changed):
            changing.reconsider(reader, has_unmuted=True)


def _limit(decision: Decision, pushed: Decision) -> Decision:
    """The limit of pushes to a reader is for web pushes, too."""
    return pushed if decision.is_sent and pushed.rule == "limit" else decision


def _too_many(readers: Sequence[Any], now: datetime) -> dict[Any, Decision]:
    """The decision for those of the readers who have just got one too many in a minute."""
    if not readers:
        return {}
    decision = Decision("defer", "limit", withholding.end_of_minute(now))
    return dict.fromkeys(withholding.find_full(readers, now), decision)
