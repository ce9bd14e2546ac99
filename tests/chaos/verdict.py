"""What was acked, what was received and what is stored, compared at the end of a run."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg

from tests.chaos.client import Client

Key = tuple[int, str]  # a message's sender and the sender's id for it


@dataclass(frozen=True)
class Record:
    """The database: streams as lists of (seq, message id), and each message's places by who wrote it."""

    streams: dict[str, list[tuple[int, int]]]
    last_seqs: dict[str, int]
    messages: dict[Key, list[tuple[int, int]]]  # (seq, message id); one, if all is well
    places: dict[str, list[tuple[int, int]]]  # streams again, as the messages tell it

    def ids(self, stream: str) -> list[int]:
        return [id for _, id in self.streams.get(stream, [])]


def read_record(url: str) -> Record:
    record = Record({}, {}, {}, {})
    with psycopg.connect(url) as connection:
        for stream, seq, body in connection.execute(
            "SELECT stream, seq, body FROM realtime_event ORDER BY stream, seq"
        ):
            record.streams.setdefault(stream, []).append((seq, json.loads(body)["data"]["message_id"]))
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
    return record


def judge(record: Record, clients: Sequence[Client]) -> list[str]:
    """Everything that is not as it should be."""
    found = [*_judge_record(record)]
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
    if record.streams != {stream: sorted(places) for stream, places in record.places.items()}:
        yield "events and messages tell different stories"
    for (sender, client_id), stored in record.messages.items():
        if len(stored) != 1:
            yield f"{client_id} of user {sender} is stored {len(stored)} times"


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
        received, stored = client.account.events.get(stream, []), record.ids(stream)
        if received != stored:
            yield f"{stream}: received {len(received)}, stored {len(stored)}{_first_difference(received, stored)}"


def _first_difference(received: list[int], stored: list[int]) -> str:
    for seq, (got, wanted) in enumerate(zip(received, stored, strict=False), start=1):
        if got != wanted:
            return f"; at {seq} message {got} instead of {wanted}"
    return ""
