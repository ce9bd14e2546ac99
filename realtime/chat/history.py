"""Pages of what was written: of one room, between two users, or of all direct messages. Called by the REST edge.

Newest first, by cursors that are `seq`s: of the room's stream, or of the reader's own for direct messages.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import F, QuerySet
from msgspec import UNSET, Struct

from realtime.auth.user_ids import wire_id
from realtime.chat import rooms
from realtime.models import Message, Room
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.frames import HistoryItem, format_time, given
from realtime.protocol.streams import user_stream
from realtime.storage import log


@dataclass(frozen=True, slots=True)
class Cursors:
    """The asked range, `after < seq < before`; both ends are open where None.

    With `after` alone the page holds what directly follows it, so a client can go forward; else the newest in range.
    """

    before: int | None = None
    after: int | None = None
    limit: int = 50

    @property
    def forward(self) -> bool:
        return self.after is not None and self.before is None


class HistoryPage(Struct, frozen=True):
    """Messages, newest first. To get the next page, ask with the cursor that is not null; on the last page both are."""

    messages: list[HistoryItem]
    next_before: int | None
    next_after: int | None


def list_room(user_id: Any, slug: str, cursors: Cursors) -> HistoryPage:
    """A page of a room that the user can see. Raises NOT_FOUND."""
    room = rooms.get_visible(user_id, slug)
    written = Message.objects.filter(room=room, recipient_seq__isnull=True).annotate(place=F("seq"))
    return _page(_slice(written, "seq", cursors), cursors, slug)


def list_direct(user_id: Any, with_id: Any, cursors: Cursors) -> HistoryPage:
    """A page of what the two wrote to each other. Raises NOT_FOUND when there is no such user, and never was."""
    room = Room.objects.filter(slug=rooms.direct_slug(user_id, with_id)).first()
    if room is None:
        if not get_user_model()._default_manager.filter(pk=with_id).exists():
            raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_USER)
        return HistoryPage([], None, None)
    return _read_both_ways(user_id, Message.objects.filter(room=room), cursors)


def list_all_direct(user_id: Any, cursors: Cursors) -> HistoryPage:
    """A page of what the user wrote to anybody, and anybody to the user: what a missed `user.<id>` had of chat."""
    return _read_both_ways(user_id, Message.objects.all(), cursors)


def _read_both_ways(user_id: Any, messages: QuerySet[Message], cursors: Cursors) -> HistoryPage:
    """What the user sent and received, by two scans, both up to where the stream stood before them.

    Else a message that is stored between the scans would be missing below one that the second has found.
    """
    stream = user_stream(wire_id(user_id))
    end = log.positions([stream])[stream]
    direct = messages.filter(recipient_seq__isnull=False)
    sent = direct.filter(sender=user_id, seq__lte=end).annotate(place=F("seq"))
    # What one writes to oneself is found as sent.
    received = direct.filter(recipient=user_id, recipient_seq__lte=end).exclude(sender=user_id)
    found = _slice(sent, "seq", cursors)
    found += _slice(received.annotate(place=F("recipient_seq")), "recipient_seq", cursors)
    return _page(found, cursors, None)


def _slice(messages: QuerySet[Message], field: str, cursors: Cursors) -> list[Any]:
    """One range scan, of one more than the page holds."""
    if cursors.before is not None:
        messages = messages.filter(**{f"{field}__lt": cursors.before})
    if cursors.after is not None:
        messages = messages.filter(**{f"{field}__gt": cursors.after})
    order = field if cursors.forward else f"-{field}"
    return list(messages.select_related("sender").order_by(order)[: cursors.limit + 1])


def _page(found: Iterable[Any], cursors: Cursors, room_id: str | None) -> HistoryPage:
    ordered = sorted(found, key=lambda message: message.place, reverse=not cursors.forward)
    shown, more = ordered[: cursors.limit], len(ordered) > cursors.limit
    following = shown[-1].place if more else None
    newest_first = reversed(shown) if cursors.forward else shown
    items = [_describe(message, room_id) for message in newest_first]
    return HistoryPage(items, None, following) if cursors.forward else HistoryPage(items, following, None)


def _describe(message: Any, room_id: str | None) -> HistoryItem:
    sender, recipient_id = message.sender, message.recipient_id
    return HistoryItem(
        from_user_id=None if sender is None else wire_id(sender.pk),
        from_username="" if sender is None else sender.get_username(),
        message=message.text,
        timestamp=format_time(message.created_at),
        message_id=message.pk,
        kind=message.kind,
        room_id=given(room_id),
        to_user_id=UNSET if recipient_id is None else wire_id(recipient_id),
        client_id=given(message.client_id),
        seq=message.place,
    )
