"""What readers have chosen, loaded for thousands of them with few queries. Synchronous; called by `deciding`."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from django.db.models import Q

from notifications import conf
from notifications.bulk import among
from notifications.models import Digest, Preference, Reader
from notifications.preferences.quiet import Span, find_zone
from notifications.preferences.spans import spans_of
from notifications.types import Channel, NotificationType

# As `_choices` takes them.
FIELDS = (
    "user_id",
    "socket",
    "mail",
    "web_push",
    "quiet_hours",
    "muted_until",
    "time_zone",
    "digest",
    "digest_hour",
    "digest_weekday",
    "away_minutes",
    "mailed_at",
    "bounced_address",
)

# By scope, key and channel.
Chosen = Mapping[tuple[str, str, str], bool]


@dataclass(frozen=True, slots=True)
class Choices:
    """What one reader has chosen. The defaults are those of a reader who has chosen nothing."""

    switches: Mapping[str, bool] = field(default_factory=lambda: {"socket": True, "mail": True, "web_push": False})
    quiet: tuple[Span, ...] = ()
    chosen: Chosen = field(default_factory=dict)
    muted_until: datetime | None = None
    time_zone: str = ""
    digest: str = Digest.OFF
    digest_hour: int = 8
    digest_weekday: int = 1
    away_minutes: int | None = None
    mailed_at: datetime | None = None
    bounced_address: str = ""

    @property
    def zone(self) -> tzinfo:
        """The site's, if the reader's is none or not known any more."""
        return (find_zone(self.time_zone) if self.time_zone else None) or conf.time_zone()

    @property
    def away_seconds(self) -> float:
        minutes = conf.settings().mail_away_minutes if self.away_minutes is None else self.away_minutes
        return minutes * 60

    def of_type(self, kind: NotificationType, channel: Channel) -> bool | None:
        return self.chosen.get((Preference.Scope.TYPE, kind.key, channel))

    def of_category(self, category: str, channel: Channel) -> bool | None:
        return self.chosen.get((Preference.Scope.CATEGORY, category, channel))


NOTHING_CHOSEN = Choices()


def load(keys: Sequence[Any], kind: NotificationType | None = None) -> dict[Any, Choices]:
    """The choices of those of the readers, by primary key, who have made any; of one type, or of all."""
    chosen = _load_chosen(keys, kind)
    readers = Reader.objects.filter(user__in=among(keys)).values_list(*FIELDS)
    found = {reader: _choices(values, chosen.pop(reader, {})) for reader, *values in readers}
    return found | {reader: Choices(chosen=values) for reader, values in chosen.items()}


def _load_chosen(keys: Sequence[Any], kind: NotificationType | None) -> dict[Any, dict[tuple[str, str, str], bool]]:
    rows = Preference.objects.filter(user__in=among(keys))
    if kind is not None:
        of_type = Q(scope=Preference.Scope.TYPE, key=kind.key)
        rows = rows.filter(of_type | Q(scope=Preference.Scope.CATEGORY, key=kind.category))
    chosen: dict[Any, dict[tuple[str, str, str], bool]] = defaultdict(dict)
    for key, scope, name, channel, enabled in rows.values_list("user_id", "scope", "key", "channel", "enabled"):
        chosen[key][scope, name, channel] = enabled
    return chosen


def _choices(values: Sequence[Any], chosen: Chosen) -> Choices:
    socket, mail, web_push, quiet_hours, *others = values
    switches = {"socket": socket, "mail": mail, "web_push": web_push}
    return Choices(switches, spans_of(quiet_hours), chosen, *others)
