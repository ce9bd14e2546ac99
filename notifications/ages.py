"""Finds notifications by when they were created, without an index on that: keys grow with time.

Such an index would get a new entry with every act, a hundred thousand of them if all is marked as read. So the primary
key is searched instead. Called by `retention`, `catalogue.numbers` and the admin.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models.lookups import GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual

from notifications.models import Notification, NotificationQuerySet

# So many keys are looked at without a search.
KEYS_AT_ONCE = 10_000
# Rows of long transactions have later keys than others of their time, and clocks of processes differ.
DISORDER = timedelta(hours=1)


def created_since(rows: NotificationQuerySet, moment: datetime) -> NotificationQuerySet:
    """Those that were created then or later. Imports, whose keys are newer than their dates, may be missing."""
    return rows.filter(created_at__gte=moment, pk__gte=_search(moment, -DISORDER).start)


def narrow(rows: NotificationQuerySet) -> NotificationQuerySet:
    """The same rows, which are filtered by when they were created: the database looks at the keys of that time only."""
    for lookup in list(rows.query.where.children):
        if getattr(getattr(lookup, "lhs", None), "target", None) is Notification._meta.get_field("created_at"):
            if isinstance(lookup, GreaterThan | GreaterThanOrEqual):
                rows = created_since(rows, lookup.rhs)
            elif isinstance(lookup, LessThan | LessThanOrEqual):
                rows = rows.filter(pk__lt=_search(lookup.rhs, DISORDER).stop)
    return rows


def portions_before(rows: NotificationQuerySet, moment: datetime) -> Iterator[NotificationQuerySet]:
    """Those that were created before a moment, in portions of so few keys that no query looks at many rows."""
    stop = _search(moment, DISORDER).stop
    start = _next_key(0) if stop else None
    while start is not None and start < stop:
        end = min(start + KEYS_AT_ONCE, stop)
        yield rows.filter(created_at__lt=moment, pk__gte=start, pk__lt=end)
        start = _next_key(end)


def _search(moment: datetime, offset: timedelta) -> range:
    """Among these keys is the first one of those that were created so long after the moment, or later."""
    if (first := _next_key(0)) is None:
        return range(0)
    last = Notification.objects.order_by("-pk").values_list("pk", flat=True).first() or first
    low, high = first, last + 1
    while high - low > KEYS_AT_ONCE:
        middle = (low + high) // 2
        found = Notification.objects.filter(pk__gte=middle).order_by("pk").values_list("pk", "created_at").first()
        if found is None or found[1] - moment >= offset:
            high = middle
        else:
            low = found[0] + 1
    return range(low, max(low, high))


def _next_key(key: int) -> int | None:
    return Notification.objects.filter(pk__gte=key).order_by("pk").values_list("pk", flat=True).first()
