"""The events that keep a reader's devices equal: what has changed in the inbox, and the counts since."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

import realtime
from notifications.frames import Act, InboxBody, InboxData, RemovedBody, RemovedData
from notifications.inbox.counting import counts_of
from notifications.inbox.lists import counts
from realtime.integration import publish_all, user_stream
from realtime.protocol.frames import Read, ReadData

IDS_IN_FRAME = 1_000


def announce(user_id: Any, act: Act, ids: list[int] | None, *, to_other_sockets: bool = True) -> None:
    """Tell the reader's devices on commit that an act has changed these notifications; None for very many."""
    now = counts(user_id)
    data = InboxData(unread=now.unread, unseen=now.unseen, act=act, notification_ids=ids or None)
    publish_all([(user_stream(user_id), InboxBody(data))])
    if act == "read" and ids and to_other_sockets:
        _send_read(user_id, ids)


def announce_all(act: Act, by_reader: Mapping[Any, Sequence[int]]) -> None:
    """Tell the devices of many readers on commit that something else has changed these notifications of theirs."""
    events = []
    for reader, now in counts_of(list(by_reader)).items():
        for ids in _parts(by_reader[reader]):
            data = InboxData(unread=now.unread, unseen=now.unseen, act=act, notification_ids=ids)
            events.append((user_stream(reader), InboxBody(data)))
            if act == "read":
                _send_read(reader, ids)
    publish_all(events)


def announce_removed(by_reader: Mapping[Any, Sequence[int]]) -> None:
    """Tell the readers' devices on commit that these notifications are gone."""
    events = []
    for reader, now in counts_of(list(by_reader)).items():
        for ids in _parts(by_reader[reader]):
            data = RemovedData(unread=now.unread, unseen=now.unseen, notification_ids=ids)
            events.append((user_stream(reader), RemovedBody(data)))
    publish_all(events)


def _send_read(user_id: Any, ids: list[int]) -> None:
    frame = Read(ReadData(notification_ids=ids))
    realtime.send_to_user(user_id, msgspec.to_builtins(frame), durable=False)


def _parts(ids: Sequence[int]) -> list[list[int]]:
    return [list(ids[start : start + IDS_IN_FRAME]) for start in range(0, len(ids), IDS_IN_FRAME)]
