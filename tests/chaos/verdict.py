"""What was acked, what was received and what is stored, compared at the end of a run."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.chaos.account import SKIPPED
from tests.chaos.badge import MOST_COUNTED
from tests.chaos.client import Client
from tests.chaos.groups import judge_groups
from tests.chaos.reader import Notified, Reader
from tests.chaos.record import Record


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
    readers = [client for client in clients if isinstance(client, Reader)]
    withdrawn = {key for reader in readers for key in reader.withdrawn}
    calls = {key: call for reader in readers for key, call in reader.grouped.items()}
    yield from judge_groups(record, calls, withdrawn)
    # Those groups have an event for each growth.
    grouped = {push.id for pushes in record.pushes.values() for push in pushes if push.key in calls}
    for stream, ids in record.notified.items():
        pushed = [push.id for push in record.pushes.get(stream, []) if push.id not in grouped]
        stored = [id for id in ids if id not in grouped]
        removed = [id for id in record.removed.get(stream, []) if id not in grouped]
        if sorted(pushed) != sorted([*stored, *removed]):
            yield f"{stream} has {len(pushed)} events for {len(stored)} notifications, and {len(removed)} withdrawn"
    sent = {key: one for reader in readers for key, one in reader.committed.items()}
    wanted = Counter((id, key) for key, one in sent.items() if key not in withdrawn for id in one.readers)
    yield from (f"{key} for user {reader} was committed and is lost" for reader, key in wanted - record.keys)
    yield from (f"{key} for user {reader} is stored, and nobody wanted it" for reader, key in record.keys - wanted)
    for reader in readers:
        yield from _judge_acts(record, reader)
        for listed in reader.lists:
            yield from _judge_list(listed, [sent.get(record.names.get(id, "")) for id in listed])


def _judge_acts(record: Record, reader: Reader) -> Iterator[str]:
    """Rows have kept what the reader has done, each device was told of it once, and the counts are right."""
    # Of many at once, nobody is told which of them there were.
    together = {(act, id) for act, id in reader.acted_together if id in record.names}
    for act, id in sorted(reader.acted | together):
        if act == "none" and id in record.names:
            yield f"notification {id} could not be found, and is there"
        if act != "none" and id in record.names and (act, id) not in record.states:
            yield f"notification {id}: {act} was answered and is lost"
        if act != "none" and record.acts[act, id] != 1:
            yield f"notification {id}: {record.acts[act, id]} events tell of {act}"
    unread, unseen = record.unread[reader.person.id], record.unseen[reader.person.id]
    if reader.counts_at_end != (min(unread, MOST_COUNTED), min(unseen, MOST_COUNTED)):
        yield f"client {reader.number} was answered {reader.counts_at_end} of {unread} unread, {unseen} unseen"
    badge = reader.badge
    if not badge.unread.has(unread) or not badge.unseen.has(unseen):
        told = f"{badge.unread} unread and {badge.unseen} unseen"
        yield f"client {reader.number} was told last of {told}, and there are {unread} and {unseen}"


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
    notification, one that was withdrawn, and a group that grew between two pages of the list, and came again.
    """
    skipped = [seq for seq, id in enumerate(received) if id == SKIPPED and seq < len(stored)]
    grown = record.groups.keys() & set(received)
    found = listed | grown
    places = {seq: stored[seq] for seq in skipped if stored[seq] in found or stored[seq] not in record.names}
    return [places.get(seq, id) for seq, id in enumerate(received)]


def _first_difference(received: list[int], stored: list[int]) -> str:
    for seq, (got, wanted) in enumerate(zip(received, stored, strict=False), start=1):
        if got != wanted:
            return f"; at {seq} message {got} instead of {wanted}"
    return ""
