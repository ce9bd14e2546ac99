"""Decides for many readers at once: loads what they have chosen, and asks the cascade. Synchronous.

Called by `routing` when a notification is sent, by the jobs when withheld ones and mails are due, and by `explain`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from notifications import clock, conf
from notifications.bulk import among
from notifications.models import Follow, TypeSwitch
from notifications.models.target import NOTHING, Target, about
from notifications.preferences import store
from notifications.preferences.cascade import Decision, Facts, decide
from notifications.preferences.quiet import quiet_until
from notifications.preferences.store import NOTHING_CHOSEN, Choices
from notifications.types import Channel, NotificationType

Mutes = Mapping[tuple[Any, Target], datetime]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What some readers want at one moment. Those who have chosen nothing are in none of the mappings."""

    now: datetime
    choices: Mapping[Any, Choices]
    mutes: Mutes  # of objects, by reader and object
    off_types: frozenset[str]  # switched off by staff

    def special(self) -> set[Any]:
        """The readers for whom something else than the defaults may count."""
        return {*self.choices, *(reader for reader, _ in self.mutes)}

    def of(self, reader: Any) -> Choices:
        return self.choices.get(reader, NOTHING_CHOSEN)

    def changed_since(self, readers: Sequence[Any]) -> set[Any]:
        """Those of the readers who have chosen something else since these were loaded."""
        new = all_wishes(readers, self.now)
        changed = {reader for reader in readers if self.of(reader) != new.of(reader)}
        return changed | {reader for (reader, _), _ in self.mutes.items() ^ new.mutes.items()} & set(readers)

    def decide(
        self,
        reader: Any,
        kind: NotificationType | None,
        channel: Channel,
        target: Target = NOTHING,
        *,
        silent: bool = False,
    ) -> Decision:
        """`kind` is None if the type is not registered any more: then it is not sent anywhere."""
        if kind is None:
            return Decision("off", "default")
        choices = self.of(reader)
        return decide(
            Facts(
                is_channel_of_type=channel in kind.channels,
                is_off_by_staff=kind.key in self.off_types,
                is_silent=silent or kind.silent,
                is_critical=kind.critical,
                channel=choices.switches[channel],
                muted_until=self._muted_until(reader, target),
                quiet_until=self.quiet_until(reader),
                type=choices.of_type(kind, channel),
                category=choices.of_category(kind.category, channel),
            )
        )

    def quiet_until(self, reader: Any) -> datetime | None:
        choices = self.of(reader)
        if not choices.quiet:
            return None
        end = quiet_until(as_aware(self.now), choices.quiet, choices.zone)
        return None if end is None else clock.as_stored_after(self.now, end)

    def _muted_until(self, reader: Any, target: Target) -> datetime | None:
        mutes = (self.of(reader).muted_until, self.mutes.get((reader, target)))
        return max((until for until in mutes if until is not None and until > self.now), default=None)


def wishes_for(keys: Sequence[Any], kind: NotificationType, target: Target, now: datetime) -> Wishes:
    """What these readers want of one notification. Whether staff have switched its type off was asked before."""
    if kind.critical:
        return Wishes(now, {}, {}, frozenset())
    return Wishes(now, store.load(keys, kind), _mutes_of(target, keys, now), frozenset())


def all_wishes(keys: Sequence[Any], now: datetime) -> Wishes:
    """What these readers want of any notification."""
    rows = Follow.objects.filter(user__in=among(keys), muted_until__gt=now)
    muted: Any = rows.values_list("user_id", "target_type_id", "target_key", "muted_until")
    by_object = {(reader, Target(type_id, key)): until for reader, type_id, key, until in muted}
    return Wishes(now, store.load(keys), by_object, TypeSwitch.off_types())


def _mutes_of(target: Target, keys: Sequence[Any], now: datetime) -> Mutes:
    if target.type_id is None:
        return {}
    # Each by its reader: a million may follow an object about which one is notified.
    rows = Follow.objects.filter(user__in=among(keys), muted_until__gt=now, **about(target))
    muted: Any = rows.values_list("user_id", "muted_until")
    return {(reader, target): until for reader, until in muted}


def as_aware(moment: datetime) -> datetime:
    """In UTC, if it has no time zone: within the site's, an hour later would be by the clock on the wall."""
    return timezone.make_aware(moment, conf.time_zone()).astimezone(UTC) if timezone.is_naive(moment) else moment
