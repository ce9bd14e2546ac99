"""What a reader does with an announcement: seen, read, dismissed, confirmed. Synchronous; called by the REST API.

A state is only stored when there is one, and it never moves backwards: each moment is the first of its kind.
"""

from typing import Any, Literal

from django.db import IntegrityError
from django.db.models import DateTimeField, Q, Value
from django.db.models.functions import Coalesce

from notifications import clock
from notifications.announcements import events
from notifications.announcements.reading import find_live
from notifications.models import Announcement, AnnouncementState
from realtime.integration import own_transaction
from realtime.protocol.errors import ErrorCode, Reason, Refused

Act = Literal["seen", "read", "dismiss", "confirm"]
# What an act notes: the last one is its own, and the others are true then, too.
COLUMNS: dict[Act, list[str]] = {
    "seen": ["seen_at"],
    "read": ["seen_at", "read_at"],
    "dismiss": ["seen_at", "dismissed_at"],
    "confirm": ["seen_at", "read_at", "confirmed_at"],
}
# Acts that not every announcement allows: the `closing` that it must have, and why it is refused otherwise.
NEEDED: dict[Act, tuple[str, Reason]] = {
    "dismiss": ("dismiss", Reason.NOT_DISMISSIBLE),
    "confirm": ("confirm", Reason.NOT_TO_CONFIRM),
}


def act(reader: Any, announcement_id: int, name: Act) -> AnnouncementState:
    """Note what a user has done with an announcement; the user's other sockets hear of all but `seen`.

    Raises Refused: NOT_FOUND if it is not live or not for this user, CONFLICT if it does not allow this.
    """
    announcement = find_live(reader, announcement_id)
    if announcement is None:
        raise not_found()
    if name in NEEDED and announcement.closing != NEEDED[name][0]:
        raise Refused(ErrorCode.CONFLICT, NEEDED[name][1])
    try:
        return _note(reader, announcement, name)
    except (IntegrityError, AnnouncementState.DoesNotExist):  # one of the two has just been deleted
        raise not_found() from None


def not_found() -> Refused:
    return Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_ANNOUNCEMENT)


def _note(reader: Any, announcement: Announcement, name: Act) -> AnnouncementState:
    now = clock.now()
    columns = COLUMNS[name]
    with own_transaction():
        new = AnnouncementState(announcement_id=announcement.pk, user_id=reader.pk, created_at=now)
        AnnouncementState.objects.bulk_create([new], ignore_conflicts=True)
        own = AnnouncementState.objects.filter(announcement=announcement.pk, user=reader.pk)
        first = {column: Coalesce(column, Value(now), output_field=DateTimeField()) for column in columns}
        changed = own.filter(Q(**{f"{columns[-1]}__isnull": True})).update(**first)
        state = own.get()
        if changed and name != "seen":
            events.send_state(reader, state)
    return state
