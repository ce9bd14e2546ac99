"""The events that keep a reader's devices equal: what has changed in the inbox, and the counts since.

They are stored with the counts in the caller's transaction, and counted again when they get their numbers (`recount`):
of several transactions at once, none knows what the others do, nor which one is told of last.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec

import realtime
from notifications import clock
from notifications.frames import Act, Counts, InboxBody, InboxData, RemovedBody, RemovedData, WaitingBody
from notifications.inbox.counting import counts_of
from notifications.inbox.lists import counts
from realtime.integration import publish_all, read_user, user_stream
from realtime.protocol.frames import Read, ReadData, encode, format_time
from realtime.protocol.streams import split_stream

IDS_IN_FRAME = 1_000
COUNTING = ("inbox", "notification_removed", "notifications_waiting")  # types of frames with counts

Counting = InboxBody | RemovedBody | WaitingBody
_decoder: msgspec.json.Decoder[Counting] = msgspec.json.Decoder(Counting)


def announce(user_id: Any, act: Act, ids: list[int] | None, *, to_other_sockets: bool = True) -> None:
    """Tell the reader's devices on commit that an act has changed these notifications; None for very many."""
    now = counts(user_id)
    data = InboxData(unread=now.unread, unseen=now.unseen, act=act, notification_ids=ids or None)
    publish_all([(user_stream(user_id), InboxBody(data, _now()))])
    if act == "read" and ids and to_other_sockets:
        send_read(user_id, ids)


def send_read(user_id: Any, ids: list[int]) -> None:
    """Tell the user's sockets on commit, as the `read` command does, that these notifications have become read."""
    frame = Read(ReadData(notification_ids=ids))
    realtime.send_to_user(user_id, msgspec.to_builtins(frame), durable=False)


def announce_all(act: Act, by_reader: Mapping[Any, Sequence[int]]) -> None:
    """Tell the devices of many readers on commit that something else has changed these notifications of theirs."""
    events = []
    for reader, now in counts_of(list(by_reader)).items():
        for ids in _parts(by_reader[reader]):
            data = InboxData(unread=now.unread, unseen=now.unseen, act=act, notification_ids=ids)
            events.append((user_stream(reader), InboxBody(data, _now())))
            if act == "read":
                send_read(reader, ids)
    publish_all(events)


def announce_removed(by_reader: Mapping[Any, Sequence[int]]) -> None:
    """Tell the readers' devices on commit that these notifications are gone."""
    events = []
    for reader, now in counts_of(list(by_reader)).items():
        for ids in _parts(by_reader[reader]):
            data = RemovedData(unread=now.unread, unseen=now.unseen, notification_ids=ids)
            events.append((user_stream(reader), RemovedBody(data, _now())))
    publish_all(events)


def recount(events: Sequence[tuple[str, bytes]]) -> list[bytes]:
    """These frames, each for a stream of a user, with the counts of now. Called when they get their numbers.

    So nothing is told of later than a change that its counts lack, whatever was committed in which order.
    """
    frames = [(stream, body, _decode(stream, body)) for stream, body in events]
    readers = {stream: _reader_of(stream) for stream, _, frame in frames if frame is not None}
    found = counts_of(list(dict.fromkeys(reader for reader in readers.values() if reader is not None)))
    at = _now()  # after the counts: the time in a `notification` that they contain is an earlier one
    return [
        body if frame is None or readers[stream] is None else _with_counts(frame, found[readers[stream]], at)
        for stream, body, frame in frames
    ]


def _reader_of(stream: str) -> Any | None:
    """The primary key of the user whose stream it is. None if nobody can have it, or if the name is a digest of it."""
    try:
        reader = read_user(unquote(split_stream(stream).name))
    except TypeError:
        return None
    return reader if user_stream(reader) == stream else None


def _decode(stream: str, body: bytes) -> Counting | None:
    """None for a frame that the site has published under the same name."""
    try:
        return _decoder.decode(body) if split_stream(stream).kind == "user" else None
    except msgspec.MsgspecError:
        return None


def _with_counts(frame: Counting, found: Counts, at: str) -> bytes:
    data: Any = msgspec.structs.replace(frame.data, unread=found.unread, unseen=found.unseen)
    return encode(msgspec.structs.replace(frame, data=data, timestamp=at))


def _now() -> str:
    return format_time(clock.now())


def _parts(ids: Sequence[int]) -> list[list[int]]:
    return [list(ids[start : start + IDS_IN_FRAME]) for start in range(0, len(ids), IDS_IN_FRAME)]
