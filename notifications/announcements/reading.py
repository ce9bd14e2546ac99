"""Which live announcements concern a reader. Synchronous; called by the REST API and by `acts`.

Whoever is outside an audience gets nothing of it from here: neither its texts nor that it exists.
"""

from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Exists, F, FilteredRelation, OuterRef, Q, QuerySet, prefetch_related_objects
from django.utils import timezone

from notifications import clock, conf
from notifications.announcements import audiences
from notifications.announcements.events import base_of
from notifications.announcements.wording import words_of
from notifications.frames import AnnouncementItem
from notifications.models import Announcement
from notifications.models.announcement import EVERYONE, GROUPS, ONLINE
from realtime.integration import exact
from realtime.protocol.frames import format_time

# Of the reader's own state, as annotations of `Announcement`.
STATES = ("seen_at", "read_at", "dismissed_at", "confirmed_at")
# By the `closing` that it has now: what was dismissed may have to be confirmed since.
IS_OPEN = Q(closing="stay") | Q(confirmed_at__isnull=True) & (Q(closing="confirm") | Q(dismissed_at__isnull=True))


def list_live(reader: Any) -> list[AnnouncementItem]:
    """The live announcements for a user that they have not closed, the newest first.

    In the active language. Costs a query for the announcements, one for their texts, and one for each of the site's own
    audiences that has a live announcement.
    """
    reader = _stored(reader)
    found = list(_concerning(_live(reader).filter(IS_OPEN).order_by("-live_at", "-id"), reader))
    prefetch_related_objects(found, "texts")
    return [item for item in map(_item, found) if item is not None]


def find_live(reader: Any, announcement_id: int) -> Announcement | None:
    """A live announcement for a user, also one that they have dismissed or confirmed; None if there is none."""
    reader = _stored(reader)
    return next(iter(_concerning(_live(reader).filter(pk=announcement_id), reader)), None)


def _stored(reader: Any) -> Any:
    """The user behind a reader. A site may know one by their token alone, which says nothing of groups."""
    users = get_user_model()
    if isinstance(reader, users):
        return reader
    return exact(users._base_manager).filter(pk=reader.pk).first() or users(pk=reader.pk)


def _live(reader: Any) -> QuerySet[Any]:
    """Live announcements that are for a reader, or for an audience of the site's that is still to be asked."""
    now = clock.now()
    is_on_time = Q(ends_at__isnull=True) | Q(ends_at__gt=now)
    found = Announcement.objects.filter(is_on_time, _is_for(reader), state=Announcement.State.LIVE)
    joined = _joined_at(reader)
    if joined is not None:
        found = found.filter(Q(for_newer=True) | Q(live_at__gte=joined))
    return found.defer("online").annotate(
        own=FilteredRelation("states", condition=Q(states__user=reader.pk)),
        **{name: F(f"own__{name}") for name in STATES},
    )


def _is_for(reader: Any) -> Q:
    built_in = Q(audience=EVERYONE) | Q(audience=ONLINE, online__has_key=str(reader.pk))
    if audiences.has_groups():
        shared = Announcement.groups.through.objects.filter(
            announcement=OuterRef("pk"), group__in=reader.groups.values("pk")
        )
        built_in |= Q(Exists(shared), audience=GROUPS)
    return built_in | ~Q(audience__in=list(audiences.BUILT_IN))


def _concerning(found: Iterable[Any], reader: Any) -> Iterable[Any]:
    """Those of the announcements whose audience includes the reader."""
    asked: dict[str, bool] = dict.fromkeys(audiences.BUILT_IN, True)
    for announcement in found:
        key = announcement.audience
        if key not in asked:
            asked[key] = audiences.includes(key, reader)
        if asked[key]:
            yield announcement


def _joined_at(reader: Any) -> datetime | None:
    """When a user joined; None where the user model does not say so."""
    joined = getattr(reader, conf.settings().joined_field or " ", None)
    if isinstance(joined, date) and not isinstance(joined, datetime):
        joined = datetime.combine(joined, time())
    if not isinstance(joined, datetime):
        return None
    if timezone.is_naive(joined) and timezone.is_aware(clock.now()):
        joined = timezone.make_aware(joined)
    return joined


def _item(announcement: Any) -> AnnouncementItem | None:
    words = words_of(announcement)
    if words is None:
        return None
    moments = {name: getattr(announcement, name) for name in ("seen_at", "read_at")}
    state: dict[str, Any] = {name: moment and format_time(moment) for name, moment in moments.items()}
    return AnnouncementItem(
        **base_of(announcement),
        language=words.language,
        title=words.title,
        message=words.message,
        **state,
    )
