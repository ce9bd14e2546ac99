"""What was acked, what was received and what is stored, compared at the end of a run."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psycopg

from tests.chaos.account import SKIPPED, read_id
from tests.chaos.client import Client
from tests.chaos.reader import Reader

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

    def ids(self, stream: str) -> list[int]:
        return [id for _, id in self.streams.get(stream, [])]


def read_record(url: str) -> Record:
    record = Record({}, {}, {}, {})
    with psycopg.connect(url) as connection:
        for stream, seq, body in connection.execute(
            "SELECT stream, seq, body FROM realtime_event ORDER BY stream, seq"
        ):
            record.streams.setdefault(stream, []).append((seq, read_id(json.loads(body))))
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
        notifications = "SELECT id, recipient_id, dedupe_key FROM notifications_notification"
        for id, reader, key in connection.execute(notifications):
            record.notified.setdefault(f"user.{reader}", []).append(id)
            record.keys[reader, key] += 1
    return record


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
        if sorted(record.ids(stream)) != sorted(ids):
            yield f"{stream} has {len(record.ids(stream))} events for {len(ids)} notifications"
    readers = [client for client in clients if isinstance(client, Reader)]
    wanted = Counter((id, key) for reader in readers for key, ids in reader.committed.items() for id in ids)
    yield from (f"{key} for user {reader} was committed and is lost" for reader, key in wanted - record.keys)
    yield from (f"{key} for user {reader} is stored, and nobody wanted it" for reader, key in record.keys - wanted)


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
        received = _place_listed(client.account.events.get(stream, []), stored, client.listed)
        if received != stored:
            yield f"{stream}: received {len(received)}, stored {len(stored)}{_first_difference(received, stored)}"


def _place_listed(received: list[int], stored: list[int], listed: set[int]) -> list[int]:
    """What was skipped, because a list had it, has its place in the database."""
    skipped = (seq for seq, id in enumerate(received) if id == SKIPPED)
    places = {seq: stored[seq] for seq in skipped if seq < len(stored) and stored[seq] in listed}
    return [places.get(seq, id) for seq, id in enumerate(received)]


def _first_difference(received: list[int], stored: list[int]) -> str:
    for seq, (got, wanted) in enumerate(zip(received, stored, strict=False), start=1):
        if got != wanted:
            return f"; at {seq} message {got} instead of {wanted}"
    return ""
