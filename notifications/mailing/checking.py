"""Checks everything again just before mails are sent: what is still unread, who is still away, who still wants it.

Called by `sending` with the deliveries that it has claimed. A fixed number of queries, however many readers there are.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from notifications import clock
from notifications.mailing import claims, schedule
from notifications.mailing.recipients import address_of, is_same_address, load_users
from notifications.models import Delivery, Digest, Notification
from notifications.models.target import Target
from notifications.preferences.deciding import Wishes, all_wishes, as_aware
from notifications.types import find_type
from notifications.withholding import LAST_YEAR, MINUTE
from realtime.integration import find_connected, find_last_seen

logger = logging.getLogger(__name__)

AGAIN = timedelta(hours=1)  # after a fault of the site's
STATES = ("arrived_at", "read_at", "archived_at", "snoozed_until", "deleted_at", "expires_at")
FIELDS = ("type", "target_type", "target_key", "silent", *STATES)


@dataclass(slots=True)
class Letter:
    """What one reader gets in one mail: the deliveries, those of the newest notifications first.

    `in_turn` is false for what is critical and goes before the reader's digest is due.
    """

    user: Any
    address: str
    deliveries: Sequence[Delivery]
    in_turn: bool = True
    is_bad_address: bool = False  # set if the mail server has said so


@dataclass(slots=True)
class Checked:
    wishes: Wishes
    letters: list[Letter] = field(default_factory=list)
    settled: list[Delivery] = field(default_factory=list)  # they wait longer, or are suppressed


def check(deliveries: Sequence[Delivery], now: datetime) -> Checked:
    """Sort the deliveries. Raises StoreUnavailable if it cannot be known who is away."""
    readers = claims.by_reader(deliveries)
    wishes = all_wishes(list(readers), now)
    checker = _Checker(
        now,
        Notification.objects.only(*FIELDS).in_bulk([delivery.notification_id for delivery in deliveries]),
        load_users(list(readers)),
        wishes,
        find_connected(readers),
        find_last_seen(readers),
    )
    checked = Checked(wishes)
    for reader, own in readers.items():
        letter = _check_safely(checker, reader, own)
        if letter is not None:
            checked.letters.append(letter)
        kept = {delivery.pk for delivery in letter.deliveries} if letter else set()
        checked.settled += [delivery for delivery in own if delivery.pk not in kept]
    return checked


def _check_safely(checker: "_Checker", reader: Any, own: Sequence[Delivery]) -> Letter | None:
    """A fault of the site's own function for addresses must not stop the mails of others."""
    try:
        return checker.check_reader(reader, own)
    except Exception:
        logger.exception("It could not be found out whether a reader gets a mail")
        claims.postpone(own, checker.now + AGAIN, "waiting")
        return None


@dataclass(frozen=True, slots=True)
class _Checker:
    now: datetime
    notifications: Mapping[int, Notification]
    users: Mapping[Any, Any]
    wishes: Wishes
    connected: frozenset[Any]
    last_seen: Mapping[Any, datetime]

    def check_reader(self, reader: Any, own: Sequence[Delivery]) -> Letter | None:
        """The reader's mail, if one is to be sent now."""
        tried = [delivery for delivery in own if not self._is_pausing(delivery)]
        wanted = [delivery for delivery in tried if self._is_wanted(reader, delivery)]
        if not wanted:
            return None
        user = self.users.get(reader)
        address = "" if user is None else address_of(user)
        if reason := self._find_obstacle(reader, user, address):
            claims.suppress(wanted, reason)
            return None
        if (until := self._away_at(reader)) > self.now:
            claims.postpone(wanted, until, "online")
            return None
        digest_at = self._digest_at(reader, own)
        ready = wanted if digest_at is None else self._leave_to_digest(wanted, digest_at)
        ready.sort(key=self._place, reverse=True)
        return Letter(user, address, ready, in_turn=digest_at is None) if ready else None

    def _is_pausing(self, delivery: Delivery) -> bool:
        """Whether it was tried in vain, and the pause after that goes on, whatever else is due for the reader."""
        return delivery.attempts > 0 and delivery.reason == "waiting" and delivery.due_at > self.now

    def _is_wanted(self, reader: Any, delivery: Delivery) -> bool:
        """Whether the notification still is for a mail, now; else the delivery is suppressed or postponed."""
        row = self.notifications.get(delivery.notification_id)
        if reason := find_end(row, self.now):
            claims.suppress([delivery], reason)
            return False
        assert row is not None
        if row.snoozed_until is not None:
            claims.postpone([delivery], max(row.snoozed_until, self.now + MINUTE), "snoozed")
            return False
        target = Target(row.target_type_id, row.target_key)
        decision = self.wishes.decide(reader, find_type(row.type), "mail", target, silent=row.silent)
        until = decision.until
        if decision.verdict == "off" or (until is not None and until.year == LAST_YEAR):
            claims.suppress([delivery], decision.rule)
        elif until is not None:
            claims.postpone([delivery], until, decision.rule)
        else:
            delivery.rule = decision.rule
        return decision.is_sent

    def _find_obstacle(self, reader: Any, user: Any, address: str) -> str:
        if user is None:
            return "inactive"
        if not address:
            return "no_address"
        return "bounced" if is_same_address(address, self.wishes.of(reader).bounced_address) else ""

    def _away_at(self, reader: Any) -> datetime:
        """When the reader will have been away long enough; who is here may leave now."""
        away = timedelta(seconds=self.wishes.of(reader).away_seconds)
        if reader in self.connected:
            return self.now + max(away, MINUTE)
        return self.last_seen[reader] + away if reader in self.last_seen else self.now

    def _digest_at(self, reader: Any, own: Sequence[Delivery]) -> datetime | None:
        choices = self.wishes.of(reader)
        mailed_at = None if choices.mailed_at is None else as_aware(choices.mailed_at)
        due = schedule.digest_at(choices, mailed_at, as_aware(self.now))
        if due is not None:
            return clock.as_stored_after(self.now, due)
        if choices.digest == Digest.OFF:
            return None
        # With a digest that is tried again: without it, a new period would begin, after which alone it could go.
        return min((delivery.due_at for delivery in own if self._is_pausing(delivery)), default=None)

    def _leave_to_digest(self, wanted: Sequence[Delivery], digest_at: datetime) -> list[Delivery]:
        """Returns what goes now all the same, because it is critical."""
        claims.postpone([delivery for delivery in wanted if not self._is_critical(delivery)], digest_at, "digest")
        return [delivery for delivery in wanted if self._is_critical(delivery)]

    def _is_critical(self, delivery: Delivery) -> bool:
        kind = find_type(self.notifications[delivery.notification_id].type)
        return kind is not None and kind.critical

    def _place(self, delivery: Delivery) -> tuple[datetime, int]:
        row = self.notifications[delivery.notification_id]
        return row.arrived_at, row.pk


def find_end(row: Notification | None, now: datetime) -> str:
    """Why there is nothing to send any more; empty if there is."""
    if row is None or row.deleted_at is not None:
        return "deleted"
    if row.expires_at is not None and row.expires_at <= now:
        return "expired"
    if row.read_at is not None:
        return "read"
    return "archived" if row.archived_at is not None else ""
