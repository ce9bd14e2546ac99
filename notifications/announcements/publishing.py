"""The life of an announcement: written, published, changed, cancelled. Called by site code, the admin and `schedule`.

Each step is one conditional UPDATE with its event in the same transaction: so it happens once among many processes,
and readers hear of it if, and only if, it is committed.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.db import IntegrityError
from django.db.models import Case, F, Value, When, prefetch_related_objects
from django.db.models.signals import post_delete
from django.utils import timezone
from django.utils.translation import gettext as _

from notifications import clock
from notifications.announcements import audiences, events
from notifications.announcements.wording import ByLanguage, spell_out
from notifications.content import as_text
from notifications.models import Announcement, AnnouncementText
from notifications.models.announcement import EVERYONE, GROUPS, ONLINE
from realtime.integration import own_transaction, read_user, retry_conflicts, run

State = Announcement.State


def announce(
    title: ByLanguage,
    message: ByLanguage = "",
    *,
    audience: str | Group | Iterable[Group] = EVERYONE,
    level: str = "info",
    link: str = "",
    closing: str = "dismiss",
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    for_newer: bool = False,
    dedupe_key: str = "",
    created_by: Any = None,
) -> Announcement:
    """Publish an announcement: open clients have it when the caller's transaction commits, or at `starts_at`.

    `title` and `message` are plain text, in one of these forms: a text in the site's language, a lazy translation, or a
    dictionary of texts by language. `audience` is "everyone", "online" (users who are online when it goes live), the
    key of a registered audience, or one or several groups. `closing` is "dismiss" (readers can dismiss it), "confirm"
    (they must confirm it) or "stay". `for_newer`: users who join after it went live see it, too. With a `dedupe_key`
    that another announcement has, nothing is done and that one is returned. `created_by` is a user or a primary key.

    Raises ValueError for an audience that does not exist or whose function fails, for a moment without a time zone or
    at an end of the calendar, and for an end that has passed, TypeError for what is no user, and ValidationError for a
    text, link, level or time that is wrong.
    """
    row = Announcement(
        level=level,
        link=as_text(link),
        closing=closing,
        starts_at=_read_moment(starts_at),
        ends_at=_read_moment(ends_at),
        for_newer=for_newer,
        dedupe_key=as_text(dedupe_key),
        created_by_id=None if created_by is None else read_user(created_by),
    )
    row.audience, groups = _read_audience(audience)
    texts = spell_out(title, message)
    _require_valid(row, texts)
    with own_transaction():
        if (known := _find(row.dedupe_key) or _save(row)) is not None:
            return known
        row.groups.set(groups)
        AnnouncementText.objects.bulk_create([_of(row, text) for text in texts])
        publish(row)
    row.refresh_from_db()
    return row


async def aannounce(title: ByLanguage, message: ByLanguage = "", **options: Any) -> Announcement:
    """`announce` for asynchronous code, with the same parameters. It commits a transaction of its own."""
    return await run(_announce_with_texts, title, message, **options)


def _announce_with_texts(title: ByLanguage, message: ByLanguage, **options: Any) -> Announcement:
    """So that the name of the announcement, as in a line of a log, needs no query."""
    row = announce(title, message, **options)
    prefetch_related_objects([row], "texts")
    return row


def publish(announcement: Announcement) -> bool:
    """Let a draft go live, or wait for its time. False if somebody has published or changed it meanwhile."""
    now = clock.now()
    if announcement.starts_at is not None and announcement.starts_at > now:
        drafts = Announcement.objects.filter(pk=announcement.pk, state=State.DRAFT, starts_at=announcement.starts_at)
        return bool(drafts.update(state=State.SCHEDULED))
    return go_live(announcement.pk, now)


def go_live(announcement_id: int, now: datetime, *, only_due: bool = False) -> bool:
    """Show a draft or scheduled announcement to its readers; `only_due`: only one that is scheduled for now.

    False if there is none, or if somebody has published or changed it meanwhile. Raises ValueError for an audience that
    does not exist any more or whose function fails, and for an end that has passed.
    """
    found = Announcement.objects.filter(pk=announcement_id, state__in=[State.DRAFT, State.SCHEDULED])
    if only_due:
        found = found.filter(state=State.SCHEDULED, starts_at__lte=now)
    row = found.only("audience", "ends_at").first()
    if row is None:
        return False
    audience = row.audience
    audiences.require_audience(audience)
    require_end_to_come(row, now)
    # Both ask the presence store, so before the transaction. The audience is compared once more in it.
    online = audiences.find_online() if audience == ONLINE else {}
    within_ms = events.measure_spread() if audience != EVERYONE else 0
    with own_transaction():
        # One that goes live before its time has begun, and may end before that time.
        starts_at = Case(When(starts_at__gt=now, then=Value(now)), default=F("starts_at"))
        values = {"state": State.LIVE, "live_at": now, "changed_at": now, "online": online, "starts_at": starts_at}
        if not found.filter(audience=audience).update(**values):
            return False
        row = Announcement.objects.prefetch_related("texts").get(pk=announcement_id)
        if audience == EVERYONE:
            events.send_texts(row)
        else:
            events.send_change(row.pk, within_ms)
    count_reached(row)
    return True


def require_end_to_come(announcement: Announcement, now: datetime) -> None:
    """Raises ValueError for one that would be pushed to all and end at once."""
    if announcement.ends_at is not None and announcement.ends_at <= now:
        raise ValueError(_("Its end has passed."))


def count_reached(announcement: Announcement) -> None:
    """Note how many users it is for. Apart from the step itself, which must not wait until they are counted."""
    reached = audiences.count(announcement)
    Announcement.objects.filter(pk=announcement.pk).update(reached=reached)


def note_change(announcement: Announcement) -> bool:
    """Let open clients load a live announcement again, whose texts or options the caller has just stored."""
    within_ms = events.measure_spread()
    with own_transaction():
        live = Announcement.objects.filter(pk=announcement.pk, state=State.LIVE)
        if not live.update(changed_at=clock.now()):
            return False
        events.send_change(announcement.pk, within_ms)
    return True


def cancel_announcement(announcement: Announcement | int) -> bool:
    """Take a live announcement away from all readers on commit, or a scheduled one from the schedule.

    `announcement` is one, or its primary key. False if it is neither live nor scheduled.
    """
    key = announcement.pk if isinstance(announcement, Announcement) else announcement
    scheduled = Announcement.objects.filter(pk=key, state=State.SCHEDULED)
    # In this order: meanwhile it may go live, and never the other way round.
    if retry_conflicts(scheduled.update)(state=State.CANCELLED, over_at=clock.now()):
        return True
    return _end(key, State.CANCELLED, clock.now())


async def acancel_announcement(announcement: Announcement | int) -> bool:
    return await run(cancel_announcement, announcement)


def end(announcement_id: int, now: datetime) -> bool:
    """End a live announcement. False if it is not live."""
    return _end(announcement_id, State.ENDED, now)


def _end(key: int, state: State, now: datetime) -> bool:
    with own_transaction():
        live = Announcement.objects.filter(pk=key, state=State.LIVE)
        # Who was online need not be known any more.
        if not live.update(state=state, over_at=now, online={}):
            return False
        events.send_end(key)
    return True


def connect_deleted() -> None:
    """A live announcement that is deleted is over for its readers, too. Called once by `apps`."""
    dispatch_uid = "notifications.announcements.send_end_of_deleted"
    post_delete.connect(send_end_of_deleted, sender=Announcement, dispatch_uid=dispatch_uid)


def send_end_of_deleted(instance: Announcement, **_: Any) -> None:
    if instance.is_live:
        events.send_end(instance.pk)


def _read_audience(given: str | Group | Iterable[Group]) -> tuple[str, list[Group]]:
    if isinstance(given, str):
        if given == GROUPS:
            raise ValueError("Pass the groups themselves.")
        audiences.require_audience(given)
        return given, []
    several = given if isinstance(given, Iterable) else [given]
    groups = list(several)
    if not groups or not all(isinstance(group, Group) for group in groups):
        raise ValueError(f"An audience is its key or one or several groups, not {given!r}.")
    return GROUPS, groups


def _read_moment(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        raise TypeError(f"A datetime is needed, not {moment!r}.")
    if timezone.is_naive(moment) and timezone.is_aware(clock.now()):
        raise ValueError(f"A moment with a time zone is needed, not {moment!r}.")
    return clock.as_stored(moment)


def _require_valid(row: Announcement, texts: list[AnnouncementText]) -> None:
    row.clean_fields(exclude=["created_by"])
    row.validate_constraints(exclude=["dedupe_key"])
    if not texts:
        raise ValidationError(_("Write a text in at least one language."))
    for text in texts:
        text.clean_fields(exclude=["announcement"])
    ProhibitNullCharactersValidator()(row.dedupe_key)


def _save(row: Announcement) -> Announcement | None:
    """Returns the one that another process has saved with the same `dedupe_key` at the same moment."""
    try:
        with own_transaction():
            row.save()
    except IntegrityError:
        if (known := _find(row.dedupe_key)) is None:
            raise
        return known
    return None


def _find(dedupe_key: str) -> Announcement | None:
    return Announcement.objects.filter(dedupe_key=dedupe_key).first() if dedupe_key else None


def _of(row: Announcement, text: AnnouncementText) -> AnnouncementText:
    text.announcement = row
    return text
