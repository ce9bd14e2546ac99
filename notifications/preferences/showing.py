"""What a reader has chosen, with all that there is to choose, as clients see it. Called by the REST API."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from notifications import clock, types
from notifications.mailing.recipients import find_address, is_same_address, load_users
from notifications.models import Reader, TypeSwitch
from notifications.preferences import store
from notifications.preferences.cascade import Facts, decide
from notifications.preferences.spans import QuietHours, read_quiet_hours
from notifications.preferences.store import NOTHING_CHOSEN, Choices
from notifications.texts import label_of
from notifications.types import CHANNELS, Channel, NotificationType
from realtime.protocol.frames import Time, format_time


class Switches(msgspec.Struct, frozen=True):
    """The switches for everything that comes in one way."""

    socket: bool
    mail: bool
    web_push: bool


class Chosen(msgspec.Struct, frozen=True):
    """What you have chosen for each way; null where you have chosen nothing."""

    socket: bool | None
    mail: bool | None
    web_push: bool | None


class TypePreference(msgspec.Struct, frozen=True):
    """One type of notifications. `now` says what holds, also if staff have switched the type off.

    `critical` ones ignore what you choose.
    """

    key: str
    label: str
    critical: bool
    chosen: Chosen
    now: Switches


class CategoryPreference(msgspec.Struct, frozen=True):
    key: str
    label: str
    chosen: Chosen
    types: list[TypePreference]


class DigestPreference(msgspec.Struct, frozen=True):
    every: str
    hour: Annotated[int, Meta(ge=0, le=23)]
    weekday: Annotated[int, Meta(ge=1, le=7)]


class Preferences(msgspec.Struct, frozen=True):
    """Your preferences. `mail_refused` is the address of yours that has not taken a mail; empty if none has."""

    channels: Switches
    muted_until: Time | None
    time_zone: str
    quiet_hours: list[QuietHours]
    digest: DigestPreference
    away_minutes: int | None
    mail_refused: str
    categories: list[CategoryPreference]


def show(reader: Any) -> Preferences:
    """What the user with this primary key has chosen. Labels are in the active language."""
    row = Reader.objects.filter(user_id=reader).first() or Reader(user_id=reader)
    choices = store.load([reader]).get(reader, NOTHING_CHOSEN)
    off = TypeSwitch.off_types()
    return Preferences(
        channels=Switches(**choices.switches),
        muted_until=_muted_until(row),
        time_zone=row.time_zone,
        quiet_hours=_quiet_hours(row),
        digest=DigestPreference(row.digest, row.digest_hour, row.digest_weekday),
        away_minutes=row.away_minutes,
        mail_refused=_refused_address(row),
        categories=[_category(key, str(label), choices, off) for key, label in types.categories().items()],
    )


def _muted_until(row: Reader) -> str | None:
    """One that is over is no mute."""
    return None if row.muted_until is None or row.muted_until <= clock.now() else format_time(row.muted_until)


def _refused_address(row: Reader) -> str:
    """Mails go to another one if the user has that by now."""
    if not row.bounced_address:
        return ""
    user = load_users([row.user_id]).get(row.user_id)
    return row.bounced_address if user and is_same_address(find_address(user), row.bounced_address) else ""


def _quiet_hours(row: Reader) -> list[QuietHours]:
    """What cannot be read was not stored by us, and does not hold either."""
    try:
        return read_quiet_hours(row.quiet_hours)
    except ValueError:
        return []


def _category(key: str, label: str, choices: Choices, off: frozenset[str]) -> CategoryPreference:
    chosen = {channel: choices.of_category(key, channel) for channel in CHANNELS}
    kinds = [kind for kind in types.all_types() if kind.category == key]
    return CategoryPreference(key, label, Chosen(**chosen), [_type(kind, choices, off) for kind in kinds])


def _type(kind: NotificationType, choices: Choices, off: frozenset[str]) -> TypePreference:
    chosen = {channel: choices.of_type(kind, channel) for channel in CHANNELS}
    now = {channel: _holds(kind, choices, channel, off) for channel in CHANNELS}
    return TypePreference(kind.key, label_of(kind), kind.critical, Chosen(**chosen), Switches(**now))


def _holds(kind: NotificationType, choices: Choices, channel: Channel, off: frozenset[str]) -> bool:
    """Whether notifications of the type are sent in this way, apart from quiet hours and mutes."""
    facts = Facts(
        is_channel_of_type=channel in kind.channels,
        is_off_by_staff=kind.key in off,
        is_silent=kind.silent,
        is_critical=kind.critical,
        channel=choices.switches[channel],
        type=choices.of_type(kind, channel),
        category=choices.of_category(kind.category, channel),
    )
    return decide(facts).is_sent
