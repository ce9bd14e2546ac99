"""Pages of messages: of one room, between two users, or all direct messages of a user. Called by the REST API.

Newest first. Cursors are `seq`s: of the room's stream or, for direct messages, of the reader's own stream.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import F, QuerySet
from msgspec import UNSET, Struct

from realtime.auth.names import name_all
from realtime.auth.user_ids import wire_id
from realtime.auth.users import is_active
from realtime.chat import rooms
from realtime.models import Message, Room
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.frames import HistoryItem, format_time, given
from realtime.protocol.streams import user_stream
from realtime.storage import numbering

PAGE_BYTES = 256 * 1024  # of text in one page
READ_AT_ONCE = 51  # messages: all of a page of the default size, and one more


@dataclass(frozen=True, slots=True)
class Cursors:
    """The requested range, `after < seq < before`. An end that is None is open; `limit` is messages per page.

    With `after` alone, the page holds the messages directly after it, so a client can go forward; else the newest.
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
    """A page of a room that the user may see. Raises NOT_FOUND."""
    room = rooms.require_visible(user_id, slug)
    written = Message.objects.filter(room=room, recipient_seq__isnull=True).annotate(place=F("seq"))
    return _page(_slice(written, "seq", cursors), cursors, slug)


def list_direct(user_id: Any, with_id: Any, cursors: Cursors) -> HistoryPage:
    """A page of the messages between two users. NOT_FOUND if they have none and the other is not active."""
    room = Room.objects.filter(slug=rooms.direct_slug(user_id, with_id)).first()
    if room is None:
        if not is_active(with_id):
            raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_USER)
        return HistoryPage([], None, None)
    return _read_both_ways(user_id, Message.objects.filter(room=room), cursors)


def list_all_direct(user_id: Any, cursors: Cursors) -> HistoryPage:
    """A page of all direct messages that the user sent or received: all chat messages of the stream `user.<id>`."""
    return _read_both_ways(user_id, Message.objects.all(), cursors)


def _read_both_ways(user_id: Any, messages: QuerySet[Message], cursors: Cursors) -> HistoryPage:
    """The messages that the user sent and received, by two scans, both up to the stream's position before the scans.

    Without that limit, a message stored between the scans would be missing below one that the second scan finds.
    """
    stream = user_stream(wire_id(user_id))
    end = numbering.positions([stream])[stream]
    direct = messages.filter(recipient_seq__isnull=False)
    sent = direct.filter(sender=user_id, seq__lte=end).annotate(place=F("seq"))
    # A message to oneself is found by the first scan.
    received = direct.filter(recipient=user_id, recipient_seq__lte=end).exclude(sender=user_id)
    found = _slice(sent, "seq", cursors)
    found += _slice(received.annotate(place=F("recipient_seq")), "recipient_seq", cursors)
    return _page(found, cursors, None)


def _slice(messages: QuerySet[Message], field: str, cursors: Cursors) -> list[Any]:
    """One range scan, for one message more than the page holds, or until the text is more than it holds."""
    if cursors.before is not None:
        messages = messages.filter(**{f"{field}__lt": cursors.before})
    if cursors.after is not None:
        messages = messages.filter(**{f"{field}__gt": cursors.after})
    order, beyond = (field, "gt") if cursors.forward else (f"-{field}", "lt")
    messages = messages.select_related("sender").order_by(order)
    found: list[Any] = []
    while True:
        part: list[Any] = list(messages[: min(READ_AT_ONCE, cursors.limit + 1 - len(found))])
        found += part
        # Where the text is too much, the page ends before the last of `found`: also if it is merged with another scan.
        if len(part) < READ_AT_ONCE or len(found) > cursors.limit or _count_bytes(found) > PAGE_BYTES:
            return found
        messages = messages.filter(**{f"{field}__{beyond}": part[-1].place})


def _page(found: Iterable[Any], cursors: Cursors, room_id: str | None) -> HistoryPage:
    ordered = sorted(found, key=lambda message: message.place, reverse=not cursors.forward)
    shown = _fill(ordered[: cursors.limit])
    following = shown[-1].place if len(ordered) > len(shown) else None
    newest_first = reversed(shown) if cursors.forward else shown
    names = name_all(message.sender for message in shown if message.sender is not None)
    items = [_describe(message, names, room_id) for message in newest_first]
    return HistoryPage(items, None, following) if cursors.forward else HistoryPage(items, following, None)


def _fill(messages: list[Any]) -> list[Any]:
    """The first messages, up to PAGE_BYTES of text; at least one if there are any."""
    size = 0
    for number, message in enumerate(messages):
        size += _count_bytes([message])
        if number and size > PAGE_BYTES:
            return messages[:number]
    return messages


def _count_bytes(messages: Iterable[Any]) -> int:
    return sum(len(message.text.encode()) for message in messages)


def _describe(message: Any, names: Mapping[Any, str], room_id: str | None) -> HistoryItem:
    sender, recipient_id = message.sender, message.recipient_id
    return HistoryItem(
        from_user_id=None if sender is None else wire_id(sender.pk),
        from_username="" if sender is None else names[sender.pk],
        message=message.text,
        timestamp=format_time(message.created_at),
        message_id=message.pk,
        kind=message.kind,
        room_id=given(room_id),
        to_user_id=UNSET if recipient_id is None else wire_id(recipient_id),
        client_id=given(message.client_id),
        seq=message.place,
    )
