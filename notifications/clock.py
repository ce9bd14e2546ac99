"""What counts as now, in the form that the site's database takes. Pure; called by all modules of the app.

`notifications.testing.clock` puts another clock in the place of the system's.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.utils import timezone

# The clock of a test; None outside of tests.
stand_in: Callable[[], datetime] | None = None
MINUTE = timedelta(minutes=1)
# The calendar ends a day later, and begins a day earlier, but not in every time zone: what is beyond could be stored,
# and not read or shown. The last moment stands for no end.
FIRST, FOREVER = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


def now() -> datetime:
    return timezone.now() if stand_in is None else as_stored(stand_in())


def read(text: str) -> datetime:
    """The moment that `realtime.protocol.frames.format_time` has written. Raises ValueError."""
    return as_stored(datetime.fromisoformat(text))


def as_stored(moment: datetime) -> datetime:
    """The moment as the database takes it: without USE_TZ, in the site's time zone and without its name.

    Raises ValueError for one that is not between `FIRST` and `FOREVER`.
    """
    if not FIRST <= _as_aware(moment) <= FOREVER:
        raise ValueError(f"A moment from {FIRST.isoformat()} to {FOREVER.isoformat()} is needed, not {moment!r}.")
    if timezone.is_naive(moment) or timezone.is_aware(timezone.now()):
        return moment
    return timezone.make_naive(moment, timezone.get_default_timezone())


def nearest_as_stored(moment: datetime) -> datetime:
    """The same, but what is beyond these two counts as the nearer one."""
    nearest = min(max(_as_aware(moment), FIRST), FOREVER)
    return as_stored(moment if nearest == _as_aware(moment) else nearest)


def _as_aware(moment: datetime) -> datetime:
    return timezone.make_aware(moment, timezone.get_default_timezone()) if timezone.is_naive(moment) else moment


def as_stored_after(now: datetime, moment: datetime) -> datetime:
    """A moment that is still to come, as the database takes it, where it has to come after `now`, too.

    Without USE_TZ, an hour comes twice when the clocks go back. What ends in its second turn would seem to be over in
    the first one, and would be due for as long. It is looked at once a minute instead.
    """
    stored = as_stored(moment)
    return stored if stored > now else now + MINUTE
