"""What was acked, what was received and what is stored, compared at the end of a run."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psycopg

from tests.chaos.account import SKIPPED, Frame, read_id
from tests.chaos.client import Client
from tests.chaos.reader import Notified, Reader

MOST_COUNTED = 100
Key = tuple[int, str]  # a message's sender and the sender's id for it, or a notification's reader and its key


@dataclass(frozen=True)
class Record:
    """The database: streams as lists of (seq, message id), and each message's places by who wrote it."""

    streams: dict[str, list[tuple[int, int]]]
    last_seqs: dict[str, int]
    messages: dict[Key, list[tuple[int, int]]]  # (seq, message id); one, if all is well
    places: dict[str, list[tuple[int, int]]]  # streams again, as the messages tell it
    notified: dict[str, list[int]] = field(default_factory=dict)  # ids of notifications by their readers' streams
    keys: Counter[Key] = field(default_factory=Counter)  # how often a reader has a notification with a key
    names: dict[int, str] = field(default_factory=dict)  # keys of notifications by their ids
    removed: dict[str, list[int]] = field(default_factory=dict)  # ids that events say are gone, by stream
    acts: Counter[tuple[str, int]] = field(default_factory=Counter)  # how often events tell of an act on an id
    states: set[tuple[str, int]] = field(default_factory=set)  # acts that rows remember
    unread: Counter[int] = field(default_factory=Counter)  # by reader

    def ids(self, stream: str) -> list[int]:
        return [id for _, id in self.streams.get(stream, [])]


def read_record(url: str) -> Record:
    record = Record({}, {}, {}, {})
    with psycopg.connect(url) as connection:
        for stream, seq, body in connection.execute(
            "SELECT stream, seq, body FROM realtime_event ORDER BY stream, seq"
        ):
            event = json.loads(body)
            record.streams.setdefault(stream, []).append((seq, read_id(event)))
            note_event(record, stream, event)
        record.last_seqs.update(connection.execute("SELECT name, last_seq FROM realtime_stream").fetchall())
        for id, sender, recipient, slug, client_id, seq, recipient_seq in connection.execute(
            "SELECT m.id, sender_id, recipient_id, slug, client_id, seq, recipient_seq"
            " FROM realtime_message m JOIN realtime_room r ON r.id = m.room_id"
        ):
            record.messages.setdefault((sender, client_id), []).append((seq, id))
            own = f"room.{slug}" if recipient is None else f"user.{sender}"
            record.places.setdefault(own, []).append((seq, id))
            if recipient is not None:
                record.places.setdefault(f"user.{recipient}", []).append((recipient_seq, id))
        for id, reader, key, read, archived in connection.execute(
            "SELECT id, recipient_id, dedupe_key, read_at IS NOT NULL, archived_at IS NOT NULL"
            " FROM notifications_notification"
        ):
            record.notified.setdefault(f"user.{reader}", []).append(id)
            record.keys[reader, key] += 1
            record.names[id] = key
            record.states.update((act, id) for act, done in (("read", read), ("archive", archived)) if done)
            record.unread[reader] += not read and not archived
    return record


def note_event(record: Record, stream: str, event: Frame) -> None:
    """What an event in a reader's stream says besides its id."""
    if event["type"] == "chat":
        return
    record.notified.setdefault(stream, [])
    if event["type"] == "notification_removed":
        record.removed.setdefault(stream, []).extend(event["data"]["notification_ids"])
    elif event["type"] == "inbox":
        record.acts.update((event["data"]["act"], id) for id in event["data"]["notification_ids"])


def judge(record: Record, clients: Sequence[Client]) -> list[str]:
    """Everything that is not as it should be."""
    found = [*_judge_record(record), *_judge_notifications(record, clients)]
    for client in clients:
        found += [f"client {client.number}: {violation}" for violation in client.account.violations]
        found += [f"client {client.number}: {violation}" for violation in _judge_client(record, client)]
    return found


def _judge_record(record: Record) -> Iterator[str]:
    for stream, events in record.streams.items():
        seqs = [seq for seq, _ in events]
        if seqs != list(range(1, len(seqs) + 1)):
            yield f"{stream} is stored with holes or repeats: {seqs}"
        if record.last_seqs.get(stream) != len(seqs):
            yield f"{stream} has {len(seqs)} events and stands at {record.last_seqs.get(stream)}"
    chat = {stream: events for stream, events in record.streams.items() if stream not in record.notified}
    if chat != {stream: sorted(places) for stream, places in record.places.items()}:
        yield "events and messages tell different stories"
    for (sender, client_id), stored in record.messages.items():
        if len(stored) != 1:
            yield f"{client_id} of user {sender} is stored {len(stored)} times"


def _judge_notifications(record: Record, clients: Sequence[Client]) -> Iterator[str]:
    for stream, ids in record.notified.items():
        pushed, removed = [id for id in record.ids(stream) if id > 0], record.removed.get(stream, [])
        if sorted(pushed) != sorted([*ids, *removed]):
            yield f"{stream} has {len(pushed)} events for {len(ids)} notifications, and {len(removed)} withdrawn"
    readers = [client for client in clients if isinstance(client, Reader)]
    withdrawn = {key for reader in readers for key in reader.withdrawn}
    sent = {key: one for reader in readers for key, one in reader.committed.items()}
    wanted = Counter((id, key) for key, one in sent.items() if key not in withdrawn for id in one.readers)
    yield from (f"{key} for user {reader} was committed and is lost" for reader, key in wanted - record.keys)
    yield from (f"{key} for user {reader} is stored, and nobody wanted it" for reader, key in record.keys - wanted)
    for reader in readers:
        yield from _judge_acts(record, reader)
        for listed in reader.lists:
            yield from _judge_list(listed, [sent.get(record.names.get(id, "")) for id in listed])


def _judge_acts(record: Record, reader: Reader) -> Iterator[str]:
    """Rows have kept what the reader has done, each device was told of it once, and the count is right."""
    for act, id in sorted(reader.acted):
        if act == "none" and id in record.names:
            yield f"notification {id} could not be found, and is there"
        if act != "none" and id in record.names and (act, id) not in record.states:
            yield f"notification {id}: {act} was answered and is lost"
        if act != "none" and record.acts[act, id] != 1:
            yield f"notification {id}: {record.acts[act, id]} events tell of {act}"
    unread = min(record.unread[reader.person.id], MOST_COUNTED)
    if reader.unread != unread:
        yield f"client {reader.number} counts {reader.unread} unread notifications of {unread}"


def _judge_list(ids: list[int], sent: list[Notified | None]) -> Iterator[str]:
    """None twice, and what was sent after another had been committed stands above it: the newest come first."""
    if len(set(ids)) != len(ids):
        yield f"a list has notifications twice: {ids}"
    earliest = float("inf")
    for one in sent:
        if one is not None:
            if one.begun > earliest:
                yield f"a list is out of order: {ids}"
            earliest = min(earliest, one.ended)


def _judge_client(record: Record, client: Client) -> Iterator[str]:
    for id in client.outbox.waiting:
        yield f"{id} was never answered"
    for id, acked in client.outbox.acked.items():
        if record.messages.get((client.person.id, id)) != [acked]:
            yield f"{id} was acked as {acked} and is stored as {record.messages.get((client.person.id, id))}"
    for stream, events in client.account.events.items():
        if events and stream not in client.streams:
            yield f"{stream}: received {len(events)}, and has no right to any"
    for stream in client.streams:
        stored = record.ids(stream)
        received = _place_listed(client.account.events.get(stream, []), stored, client.listed, record)
        if received != stored:
            yield f"{stream}: received {len(received)}, stored {len(stored)}{_first_difference(received, stored)}"


def _place_listed(received: list[int], stored: list[int], listed: set[int], record: Record) -> list[int]:
    """What was skipped, because a list had it, has its place in the database. So has what no list has: what is no
    notification, and one that was withdrawn.
    """
    skipped = [seq for seq, id in enumerate(received) if id == SKIPPED and seq < len(stored)]
    places = {seq: stored[seq] for seq in skipped if stored[seq] in listed or stored[seq] not in record.names}
    return [places.get(seq, id) for seq, id in enumerate(received)]


def _first_difference(received: list[int], stored: list[int]) -> str:
    for seq, (got, wanted) in enumerate(zip(received, stored, strict=False), start=1):
        if got != wanted:
            return f"; at {seq} message {got} instead of {wanted}"
    return ""
