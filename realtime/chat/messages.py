"""Stores messages to rooms and to users: message, event and `seq` in one transaction, many messages in each.

The sockets call `post`; its result means that the message is committed. Posting again with the same `client_id` gives
the same message, stored once and delivered once.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
from django.db import IntegrityError, InterfaceError, OperationalError
from django.utils import timezone
from msgspec import UNSET

from realtime.auth.users import all_users
from realtime.conf import settings
from realtime.delivery.envelopes import Envelope
from realtime.models import Message, Room
from realtime.protocol.commands import Kind
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.frames import ChatBody, ChatData, encode, format_time, given
from realtime.protocol.streams import room_stream, user_stream
from realtime.storage import log
from realtime.storage.database import Batcher, ByteLimits, DatabaseUnavailable
from realtime.storage.json_rows import plain, rows, stored_id, user_column
from realtime.storage.routed import connection
from realtime.storage.transactions import OutcomeUnknown, own_transaction, require_committed, retry_conflicts


@dataclass(frozen=True, slots=True)
class Post:
    """A message to be stored. `room` and `recipient` are primary keys; `room_slug` is "" for a direct message."""

    sender: Any
    sender_id: int | str  # as in frames
    sender_name: str
    text: str
    kind: Kind
    client_id: str | None
    room: int
    room_slug: str = ""
    recipient: Any = None
    recipient_id: int | str | None = None

    @property
    def streams(self) -> tuple[str, ...]:
        if self.room_slug:
            return (room_stream(self.room_slug),)
        if self.recipient_id == self.sender_id:
            return (user_stream(self.sender_id),)
        return (user_stream(self.sender_id), user_stream(self.recipient_id))


@dataclass(frozen=True, slots=True)
class Posted:
    """A stored message. `events` is empty if it had been stored before."""

    message_id: int
    seq: int
    timestamp: str
    events: tuple[log.LoggedEvent, ...] = ()


Key = tuple[int | str, str] | int
CHARACTER_BYTES = 6  # at most, in JSON: those of a control character


def check(post: Post) -> None:
    """Raises Refused(INVALID_MESSAGE) for a text that cannot be stored."""
    if len(post.text) > settings().max_message_chars:
        limit = settings().max_message_chars
        raise Refused(ErrorCode.INVALID_MESSAGE, Reason.MESSAGE_TOO_LONG, n=limit)
    # Its frame would close each socket to which it is replayed, again and again. There is more in it than the text.
    limit = settings().max_queued_bytes // 2
    if len(post.text) * CHARACTER_BYTES > limit and measure(post) > limit:
        raise Refused(ErrorCode.INVALID_MESSAGE, Reason.MESSAGE_TOO_LARGE, n=limit)
    if "\0" in post.text or (post.client_id and "\0" in post.client_id):
        raise Refused(ErrorCode.INVALID_MESSAGE, Reason.MESSAGE_HAS_NUL)


def measure(post: Post) -> int:
    """The bytes of a text in its frame: JSON needs up to `CHARACTER_BYTES` for a character."""
    return len(msgspec.json.encode(post.text)) - len('""')


class Messages:
    """The messages of this process: they are gathered, stored together, and published after the commit."""

    def __init__(self, publish: Callable[[Envelope], None], compare: Callable[[], None]) -> None:
        """`compare` compares the positions of this process with the log, when the database is available again."""
        conf = settings()
        self._publish = publish
        self._compare = compare
        self._writer: Batcher[Post, Posted] = Batcher(
            store,
            limit=conf.commit_batch,
            waiting_limit=conf.max_waiting_commits,
            byte_limits=ByteLimits(measure, conf.commit_bytes, conf.max_waiting_commit_bytes),
            after=self._publish_stored,
            on_unavailable=self._find_stored,
        )

    def post(self, message: Post) -> "asyncio.Future[Posted]":
        """Put a message in the next transaction. The future is done after the commit.

        Raises Refused at once for a text that cannot be stored, or if too much is waiting. The future raises Refused:
        CONFLICT if the id was used for another message, NOT_FOUND if the room has been deleted, UNAVAILABLE.
        """
        check(message)
        return self._writer.submit(message)

    async def drain(self) -> None:
        """Wait until everything that was posted is stored and published."""
        await self._writer.drain()

    def _publish_stored(self, results: Sequence[Posted | Exception]) -> None:
        """Runs before any sender gets its answer."""
        events = [event for result in results if isinstance(result, Posted) for event in result.events]
        if events:
            self._publish(Envelope(events=list(events)))

    def _find_stored(self, error: DatabaseUnavailable) -> None:
        if error.reason is Reason.OUTCOME_UNKNOWN:
            self._compare()


def store(posts: list[Post]) -> list[Posted | Exception]:
    """Store messages in one transaction, in order. Runs on a database thread.

    Few messages are repeats, so the first attempt does not look for them: a constraint reports them. Raises
    DatabaseUnavailable when it is certain that nothing was stored, else OutcomeUnknown.
    """
    try:
        return _store_whole(posts)
    except OutcomeUnknown:
        raise
    except (OperationalError, InterfaceError) as error:
        raise DatabaseUnavailable(Reason.NOTHING_STORED) from error


# Two processes that store the same ids for different rooms lock the rooms in one order and the ids in another. The one
# whose transaction PostgreSQL aborts finds the other's messages when it tries again.
@retry_conflicts
def _store_whole(posts: list[Post]) -> list[Posted | Exception]:
    with suppress(IntegrityError):
        return _store(posts, look_for_repeats=False)
    try:
        return _store(posts, look_for_repeats=True)
    except IntegrityError:
        return _store_what_can_be(posts)


def _store_what_can_be(posts: list[Post]) -> list[Posted | Exception]:
    """Store all but those whose room or user has gone. Two queries find these; splitting takes 2 log n transactions."""
    rooms = set(Room.objects.filter(pk__in={post.room for post in posts}).values_list("pk", flat=True))
    wanted = {pk for post in posts for pk in (post.sender, post.recipient) if pk is not None}
    found = all_users().filter(pk__in=wanted).values_list("pk", flat=True)
    # Compared as stored ids, because a sender is given as in frames.
    users = {None, *(stored_id(pk) for pk in found)}
    good = [post.room in rooms and {stored_id(post.sender), stored_id(post.recipient)} <= users for post in posts]
    if all(good):
        # The batcher splits the batch and tries again.
        raise IntegrityError("A batch could not be stored")
    kept = [post for post, is_good in zip(posts, good, strict=True) if is_good]
    stored = iter(_store(kept, look_for_repeats=True) if kept else ())
    return [next(stored) if is_good else Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_ROOM) for is_good in good]


def _store(posts: list[Post], *, look_for_repeats: bool) -> list[Posted | Exception]:
    now = timezone.now()
    keys = [_key(post, number) for number, post in enumerate(posts)]
    known: dict[Key, tuple[int, str, Posted]] = {}
    fresh: dict[Key, Post] = {}
    stored: dict[Key, Posted] = {}
    try:
        with own_transaction():
            if look_for_repeats:
                known = _find_repeats(posts)
            for key, post in zip(keys, posts, strict=True):
                if key not in known:
                    fresh.setdefault(key, post)
            if fresh:
                stored = dict(zip(fresh, _insert(list(fresh.values()), now), strict=True))
    except OutcomeUnknown as unknown:
        _require_stored(unknown, list(stored.values()))
    results: list[Posted | Exception] = []
    for key, post in zip(keys, posts, strict=True):
        if fresh.get(key) is post:
            results.append(stored[key])
            known[key] = (post.room, post.text, replace(stored[key], events=()))
        else:
            results.append(_repeat(post, *known[key]))
    return results


def _require_stored(unknown: OutcomeUnknown, stored: list[Posted]) -> None:
    """Return if the transaction that inserted these messages was committed. Raises as `require_committed` does.

    A message's primary key is never given to another one, so the first message stands for all.
    """

    def look() -> bool:
        log.wait_for_writers(stored[0].events[0].stream)
        return Message.objects.filter(pk=stored[0].message_id).exists()

    if stored:
        require_committed(unknown, look)


def _key(post: Post, number: int) -> Key:
    """What identifies a message: its sender and `client_id`. Without a `client_id`, every message is a new one."""
    return (stored_id(post.sender), post.client_id) if post.client_id is not None else number


def _repeat(post: Post, room: int, text: str, before: Posted) -> Posted | Exception:
    if (post.room, post.text) != (room, text):
        return Refused(ErrorCode.CONFLICT, Reason.MESSAGE_ID_TAKEN)
    return before


def _find_repeats(posts: list[Post]) -> dict[Key, tuple[int, str, Posted]]:
    """The messages that are stored already, each with its room, its text and the answer given then."""
    wanted = [{"sender": stored_id(p.sender), "client_id": p.client_id} for p in posts if p.client_id is not None]
    if not wanted:
        return {}
    table = rows(sender=user_column(), client_id="text")
    sender, client_id = table.column["sender"], table.column["client_id"]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.sender_id, m.client_id, m.room_id, m.text, m.id, m.seq, m.created_at"
            f" FROM {table.source} JOIN realtime_message m ON m.sender_id = {sender} AND m.client_id = {client_id}",
            [msgspec.json.encode(wanted).decode()],
        )
        found = cursor.fetchall()
    return {
        (plain(sender), client_id): (room, text, Posted(id, seq, _timestamp(created)))
        for sender, client_id, room, text, id, seq, created in found
    }


def _insert(posts: list[Post], now: datetime) -> list[Posted]:
    """Store new messages: reserve their places in the streams, then insert rows and events."""
    counts = Counter(stream for post in posts for stream in post.streams)
    rooms = {room_stream(post.room_slug): post.room for post in posts if post.room_slug}
    place = log.Places(log.reserve(counts, rooms))
    seqs = [tuple(place.next(stream) for stream in post.streams) for post in posts]
    ids = _insert_messages(posts, seqs, now)
    timestamp = format_time(now)
    results = []
    for post, seq, id in zip(posts, seqs, ids, strict=True):
        body = _frame(post, id, timestamp)
        events = tuple(log.LoggedEvent(stream, n, body) for stream, n in zip(post.streams, seq, strict=True))
        results.append(Posted(id, seq[0], timestamp, events))
    log.insert([event for result in results for event in result.events])
    return results


def _insert_messages(posts: list[Post], seqs: list[tuple[int, ...]], now: datetime) -> list[int]:
    user = user_column()
    table = rows(
        room_id="bigint",
        sender_id=user,
        recipient_id=user,
        text="text",
        kind="text",
        client_id="text",
        seq="bigint",
        recipient_seq="bigint",
    )
    names = "room_id, sender_id, recipient_id, text, kind, client_id, seq, recipient_seq"
    payload = msgspec.json.encode([_row(post, seq) for post, seq in zip(posts, seqs, strict=True)]).decode()
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO realtime_message ({names}, created_at) SELECT {table.columns}, %s FROM {table.source}"
            " RETURNING id, room_id, sender_id, seq",
            [connection.ops.adapt_datetimefield_value(now), payload],
        )
        # Rows are matched by room, sender and `seq`, because no database promises the order of the answer.
        ids = {(room, plain(sender), seq): id for id, room, sender, seq in cursor.fetchall()}
    return [ids[post.room, stored_id(post.sender), seq[0]] for post, seq in zip(posts, seqs, strict=True)]


def _timestamp(created: Any) -> str:
    """Format a time that a bare cursor returned. SQLite's driver has no type for times and returns text."""
    moment = datetime.fromisoformat(created) if isinstance(created, str) else created
    # Without USE_TZ there is no zone, and such a moment is a local one.
    return format_time(moment if moment.tzinfo else moment.replace(tzinfo=connection.timezone))


def _row(post: Post, seq: tuple[int, ...]) -> dict[str, Any]:
    return {
        "room_id": post.room,
        "sender_id": stored_id(post.sender),
        "recipient_id": stored_id(post.recipient),
        "text": post.text,
        "kind": post.kind,
        "client_id": post.client_id,
        "seq": seq[0],
        "recipient_seq": None if post.recipient is None else seq[-1],
    }


def _frame(post: Post, id: int, timestamp: str) -> bytes:
    data = ChatData(
        from_user_id=post.sender_id,
        from_username=post.sender_name,
        message=post.text,
        timestamp=timestamp,
        message_id=id,
        kind=post.kind,
        room_id=post.room_slug or UNSET,
        to_user_id=given(post.recipient_id),
        client_id=given(post.client_id),
    )
    return encode(ChatBody(data, timestamp))
