"""What is stored at the end of a run: the database as the verdict needs it. Read once, when all is still."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from tests.chaos.account import Frame, read_id

Key = tuple[int, str]  # a message's sender and the sender's id for it, or a notification's reader and its key


@dataclass(frozen=True, slots=True)
class Push:
    """An event that brings a notification."""

    id: int
    key: str  # of what the site was let send
    arrived_at: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """The row of a group."""

    reader: int
    name: str
    newest: str  # the key of what its texts are of
    count: int
    named: list[int]  # people, by their ids
    members: list[tuple[str, str]]  # people, as text, and keys
    is_open: bool
    is_closed_by_reader: bool
    created_at: datetime
    arrived_at: datetime


@dataclass(frozen=True)
class Record:
    """The database: streams as lists of (seq, message id), and each message's places by who wrote it."""

    streams: dict[str, list[tuple[int, int]]]
    last_seqs: dict[str, int]
    messages: dict[Key, list[tuple[int, int]]]  # (seq, message id); one, if all is well
    places: dict[str, list[tuple[int, int]]]  # streams again, as the messages tell it
    notified: dict[str, list[int]] = field(default_factory=dict)  # ids of notifications by their readers' streams
    keys: Counter[Key] = field(default_factory=Counter)  # how often a reader has a notification with a key, by itself
    names: dict[int, str] = field(default_factory=dict)  # keys of notifications by their ids
    groups: dict[int, Group] = field(default_factory=dict)  # by their ids
    pushes: dict[str, list[Push]] = field(default_factory=dict)  # by the reader's stream, in its order
    removed: dict[str, list[int]] = field(default_factory=dict)  # ids that events say are gone, by stream
    acts: Counter[tuple[str, int]] = field(default_factory=Counter)  # how often events tell of an act on an id
    states: set[tuple[str, int]] = field(default_factory=set)  # acts that rows remember
    unread: Counter[int] = field(default_factory=Counter)  # by reader
    unseen: Counter[int] = field(default_factory=Counter)

    def ids(self, stream: str) -> list[int]:
        return [id for _, id in self.streams.get(stream, [])]


def read_record(url: str) -> Record:
    record = Record({}, {}, {}, {})
    with psycopg.connect(url) as connection:
        _read_events(connection, record)
        _read_messages(connection, record)
        _read_notifications(connection, record)
        _read_groups(connection, record)
    return record


def _read_events(connection: psycopg.Connection, record: Record) -> None:
    for stream, seq, body in connection.execute("SELECT stream, seq, body FROM realtime_event ORDER BY stream, seq"):
        event = json.loads(body)
        record.streams.setdefault(stream, []).append((seq, read_id(event)))
        _note_event(record, stream, event)
    record.last_seqs.update(connection.execute("SELECT name, last_seq FROM realtime_stream").fetchall())


def _note_event(record: Record, stream: str, event: Frame) -> None:
    """What an event in a reader's stream says besides its id."""
    if event["type"] == "chat":
        return
    record.notified.setdefault(stream, [])
    data = event["data"]
    if event["type"] == "notification":
        push = Push(data["id"], data["message"], datetime.fromisoformat(data["arrived_at"]))
        record.pushes.setdefault(stream, []).append(push)
    elif event["type"] == "notification_removed":
        record.removed.setdefault(stream, []).extend(data["notification_ids"])
    elif event["type"] == "inbox":
        record.acts.update((data["act"], id) for id in data["notification_ids"])


def _read_messages(connection: psycopg.Connection, record: Record) -> None:
    for id, sender, recipient, slug, client_id, seq, recipient_seq in connection.execute(
        "SELECT m.id, sender_id, recipient_id, slug, client_id, seq, recipient_seq"
        " FROM realtime_message m JOIN realtime_room r ON r.id = m.room_id"
    ):
        record.messages.setdefault((sender, client_id), []).append((seq, id))
        own = f"room.{slug}" if recipient is None else f"user.{sender}"
        record.places.setdefault(own, []).append((seq, id))
        if recipient is not None:
            record.places.setdefault(f"user.{recipient}", []).append((recipient_seq, id))


def _read_notifications(connection: psycopg.Connection, record: Record) -> None:
    for id, reader, key, group, seen, read, archived in connection.execute(
        "SELECT id, recipient_id, dedupe_key, group_key, seen_at IS NOT NULL, read_at IS NOT NULL,"
        " archived_at IS NOT NULL FROM notifications_notification"
    ):
        record.notified.setdefault(f"user.{reader}", []).append(id)
        record.keys[reader, key] += not group
        record.names[id] = key
        record.states.update((act, id) for act, done in (("read", read), ("archive", archived)) if done)
        record.unread[reader] += not read and not archived
        record.unseen[reader] += not seen and not read and not archived


def _read_groups(connection: psycopg.Connection, record: Record) -> None:
    for id, reader, name, newest, count, named, is_open, is_closed, created, arrived in connection.execute(
        "SELECT id, recipient_id, group_key, message, group_count, group_actors, group_open,"
        " read_at IS NOT NULL OR archived_at IS NOT NULL, created_at, arrived_at"
        " FROM notifications_notification WHERE group_key <> ''"
    ):
        people = [person["user_id"] for person in named]
        record.groups[id] = Group(reader, name, newest, count, people, [], is_open, is_closed, created, arrived)
    for id, person, key in connection.execute(
        "SELECT notification_id, person, dedupe_key FROM notifications_groupmember"
    ):
        record.groups[id].members.append((person, key))
