"""Publishing from site code: stored in the caller's transaction, sent after the commit, dropped on rollback.

Synchronous; functions for sites have an asynchronous twin. Called by views, signals, tasks, shells, `notifications`.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec
from django.db import InterfaceError, OperationalError
from django.utils.asyncio import async_unsafe
from django.utils.functional import Promise

from realtime.auth.user_ids import read_id, read_user
from realtime.delivery import bridge
from realtime.delivery.envelopes import Control, Envelope, Passing, new_id, require_sendable
from realtime.models import Room
from realtime.protocol import topics
from realtime.protocol.errors import CloseCode
from realtime.protocol.frames import RoomUpdated, encode, is_frame, require_own
from realtime.protocol.streams import is_stream, split_stream, user_stream
from realtime.storage import log, pending
from realtime.storage.bundles import portions
from realtime.storage.commit_hooks import CommitHook, find_last, on_commit
from realtime.storage.database import USE_TWIN, run
from realtime.storage.routed import connection
from realtime.storage.transactions import is_in_transaction, is_manual

logger = logging.getLogger(__name__)

Frame = Mapping[str, Any] | msgspec.Struct

CONTROLS_AT_ONCE = 10_000  # of one transaction; more than `backlog.WAITING_CONTROLS` would close all sockets


def publish(stream: str, frame: Frame, durable: bool | None = None) -> None:
    """Send `frame`, a mapping or a struct with a `type` of its own, to all subscribers of `stream`, on every process.

    `stream` is `site`, `user.<id>`, `room.<slug>` or `topic.<name>`. A durable frame is stored as the stream's next
    event, so that a client that is away gets it on resume. The default is durable; for a topic it is what the topic's
    declaration says. In a transaction of the database that has the app's tables the frame is sent on commit, before the
    site's own `on_commit` hooks, and dropped on rollback. Raises ValueError for any other stream, an id that no user
    can have, a topic that is not declared, and a frame without a `type`, with the type `gap` or `user`, with a key
    `id`, `seq` or `stream`, or larger than MAX_QUEUED_BYTES; TypeError for values that JSON lacks; and what the
    database raises, for a durable frame.
    """
    stream, body = _read(stream, frame)
    stream = _as_sockets_know_it(stream)
    if _is_durable(stream, durable):
        _store(stream, body)
    else:
        bridge.warn_if_alone("Frames that are not stored are lost")
        send_on_commit(Envelope(passing=[Passing(body, stream=stream, droppable=False, id=new_id())]))


@async_unsafe(USE_TWIN)
def publish_all(events: Sequence[tuple[str, Frame]]) -> None:
    """`publish` many durable frames, each to its own stream, in a few statements. They keep their order."""
    bodies = [_read(stream, frame) for stream, frame in events]
    if not bodies:
        return
    if is_in_transaction():
        _sequence_on_commit(pending.write_all(bodies))
        return
    for start in range(0, len(bodies), log.READ_CHUNK):
        send_events(log.commit(bodies[start : start + log.READ_CHUNK]))


async def apublish(stream: str, frame: Frame, durable: bool | None = None) -> None:
    """`publish` from asynchronous code, where there is no transaction to wait for."""
    await run(publish, stream, frame, durable)


def send_to_user(user: Any, frame: Frame, durable: bool = True) -> None:
    """`publish` to all sockets of one user, given as a user or a primary key. Raises TypeError for anything else."""
    publish(user_stream(read_user(user)), frame, durable)


async def asend_to_user(user: Any, frame: Frame, durable: bool = True) -> None:
    await apublish(user_stream(read_user(user)), frame, durable)


def disconnect_user(user: Any, reason: str | Promise = "KICKED") -> None:
    """Close all sockets of a user, on every process, with 4403 and `reason`. In a transaction: on commit.

    `user` is a user or a primary key, `reason` a text; anything else is a TypeError. Raises ValueError for a reason of
    more than 123 bytes, which no close frame can carry (RFC 6455 §5.5).
    """
    if isinstance(reason, Promise):
        reason = str(reason)
    if not isinstance(reason, str):
        raise TypeError(f"A reason is a text, not {reason!r}.")
    if len(reason.encode()) > 123:
        raise ValueError("A reason has at most 123 bytes.")
    key = str(read_user(user))
    bridge.warn_if_alone("No socket is closed")
    _obey_on_commit(Control("disconnect", user=key, code=CloseCode.FORBIDDEN, reason=_plain(reason)))


async def adisconnect_user(user: Any, reason: str | Promise = "KICKED") -> None:
    await run(disconnect_user, user, reason)


def disable_user(user_id: Any) -> None:
    """Close all sockets of a user with 4403, on every process: the user may not log in any more."""
    _obey_on_commit(Control("disconnect", user=str(user_id), code=CloseCode.FORBIDDEN, reason="USER_DISABLED"))


def unauthenticate_user(user_id: Any) -> None:
    """Close all sockets of a user with 4401, on every process: the user has to log in again."""
    control = Control("disconnect", user=str(user_id), code=CloseCode.UNAUTHENTICATED, reason="UNAUTHENTICATED")
    _obey_on_commit(control)


def unauthenticate_unnamed(user_id: Any, issued_until: int) -> None:
    """Close the sockets of a user whose tokens do not name their login and were issued until then (Unix time)."""
    control = Control(
        "disconnect",
        user=str(user_id),
        code=CloseCode.UNAUTHENTICATED,
        reason="UNAUTHENTICATED",
        issued_until=issued_until,
    )
    _obey_on_commit(control)


def disconnect_login(login: str) -> None:
    """Close all sockets that were opened with a token of this login."""
    control = Control("disconnect", login=login, code=CloseCode.UNAUTHENTICATED, reason="UNAUTHENTICATED")
    _obey_on_commit(control)


def unsubscribe(user_id: Any, stream: str, room: int = 0) -> None:
    """Unsubscribe all sockets of a user from a stream, on every process; the sockets stay open.

    With the primary key of a `room`, the order does not apply to a later room with the same name.
    """
    _obey_on_commit(Control("unsubscribe", user=str(user_id), stream=stream, room=room))


def close_stream(stream: str, room: int = 0) -> None:
    """Unsubscribe all sockets from a stream that no longer exists, on every process. `room` as in `unsubscribe`."""
    _obey_on_commit(Control("unsubscribe", stream=stream, room=room))


def announce_room(room: Room) -> None:
    """Tell the sockets that have joined a room what it is called now, on every process. Not stored."""
    body = encode(RoomUpdated(room.slug, room.title, room.private))
    send_on_commit(Envelope(passing=[Passing(body, stream=room.stream, droppable=False, room=room.pk)]))


def send_events(events: list[log.LoggedEvent]) -> None:
    """Send committed events to every process."""
    if events:
        _send(Envelope(events=list(events)))


def send_on_commit(envelope: Envelope) -> None:
    """Send the envelope now, or when the transaction commits."""
    on_commit(_Sending(envelope))


def _obey_on_commit(control: Control) -> None:
    """`send_on_commit` for a control. Those of one transaction are sent together: a process without sockets waits."""
    last = find_last(of_same_savepoints=True)
    if isinstance(last, _Ordering):
        last.controls.append(control)
    else:
        on_commit(_Ordering(control))


def _send(envelope: Envelope) -> None:
    try:
        bridge.publish(envelope)
    except Exception:
        # The site's transaction has committed, so its caller must not get an error. Events are in the log, and every
        # process compares its positions with the log. A layer that is away raises nothing here.
        logger.exception("A publication did not reach the channel layer")


@async_unsafe(USE_TWIN)
def _store(stream: str, body: bytes) -> None:
    if is_in_transaction():
        _sequence_on_commit(pending.write_all([(stream, body)]))
    else:
        send_events(log.commit([(stream, body)]))


def _is_durable(stream: str, wanted: bool | None) -> bool:
    """What the caller wants, else the default of the stream. Raises ValueError for a topic that is not declared."""
    if split_stream(stream).kind != "topic":
        return wanted is None or bool(wanted)
    topic = topics.find_stream(stream)
    if topic is None:
        raise ValueError(f"There is no topic {stream!r}: declare it in a module `topics` of an installed app.")
    return topic.durable if wanted is None else bool(wanted)


def _read(stream: str, frame: Frame) -> tuple[str, bytes]:
    """The stream, and the frame's JSON."""
    if not isinstance(stream, str) or not is_stream(stream):
        raise ValueError(f"There is no stream {stream!r}: it is site, user.<id>, room.<slug> or topic.<name>.")
    if not is_frame(frame):
        raise ValueError("A frame needs a `type`.")
    require_own(frame)
    return _plain(stream), require_sendable(encode(frame))


def _as_sockets_know_it(stream: str) -> str:
    """The stream of a user by the key as the database has it: a UUID may be written without dashes, for example."""
    kind, name = split_stream(stream)
    if kind != "user" or name.startswith("~"):  # a digest, from which no key can be read
        return stream
    pk = read_id(unquote(name))
    if pk is None:
        raise ValueError(f"There is no stream {stream!r}: {name!r} is not the id of a user.")
    return user_stream(pk)


def _plain(text: str) -> str:
    """The text as a `str`: subclasses, such as Django's `SafeString`, cannot be packed for the other processes."""
    return str.__str__(text)


class _Sending(CommitHook):
    """Sends an envelope."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope

    def __call__(self) -> None:
        _send(self._envelope)


class _Ordering(CommitHook):
    """Sends controls."""

    def __init__(self, control: Control) -> None:
        self.controls = [control]

    def __call__(self) -> None:
        for start in range(0, len(self.controls), CONTROLS_AT_ONCE):
            _send(Envelope(controls=self.controls[start : start + CONTROLS_AT_ONCE]))


class _PendingFlush(CommitHook):
    """Gives all events of one transaction their `seq`s in one step, after its commit, and sends them."""

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}  # the weight of each row, by its primary key

    def __call__(self) -> None:
        for keys in portions(self.rows.items()):
            try:
                self._flush(keys)
            except (OperationalError, InterfaceError) as error:
                logger.warning("Events wait for the sweep, because the database is away: %s", error)
                return
            except Exception:
                logger.exception("Events wait for the sweep: they could not be sequenced")

    def _flush(self, keys: list[int]) -> None:
        events = pending.sequence(keys)
        if is_manual():
            # The site has just committed, so nothing of its own is committed here.
            connection.commit()
        send_events(events)


def _sequence_on_commit(rows: Mapping[int, int]) -> None:
    """Add the events to the flush that this transaction registered last: one commit for many events, not one for each.

    It does not matter in which savepoint that flush was registered. If the savepoint was rolled back, Django has
    dropped the flush; if it was released, it can no longer be rolled back alone; if it is still open, it holds this
    event as well. If only the event's own savepoint is rolled back, the flush has a key without a row, which
    `pending.sequence` skips.
    """
    flush = find_last()
    if not isinstance(flush, _PendingFlush):
        flush = _PendingFlush()
        on_commit(flush)
    flush.rows |= rows
