"""Whether groups have in them what the site was let send, and nothing else (pure). Called by `verdict`.

Each growth is one event, which is stored with it and names its row: so it is known what went into which row, also where
the answer to a request was lost. What is in the row and in the table of its members has to agree with that.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.chaos.record import Group, Record

GROUP_SECONDS = 3.0  # so short that windows end while several processes let a group grow
GROUP_SECONDS_AT_MOST = 8.0
NAMED = 3  # the last people


@dataclass(frozen=True, slots=True)
class Call:
    """A request that the site notifies readers with a group, and between which moments it was carried out."""

    key: str
    readers: Sequence[int]  # their ids
    group: str
    actor: int | None
    has_dedupe_key: bool
    is_known: bool  # it was committed; else nobody knows
    begun: float
    ended: float  # of what is not known, never

    @property
    def member(self) -> tuple[str, str] | None:
        """What the table of members has of it."""
        if self.actor is None and not self.has_dedupe_key:
            return None
        return str(self.actor or ""), self.key if self.has_dedupe_key else ""


@dataclass(slots=True)
class Row:
    """What events say of the row of a group, also after it was deleted."""

    reader: str  # the stream
    places: list[datetime] = field(default_factory=list)  # in lists, with each growth
    calls: list[Call] = field(default_factory=list)


def judge_groups(record: Record, calls: Mapping[str, Call], withdrawn: set[str]) -> Iterator[str]:
    """`calls` are those that were or may have been committed, by key."""
    yield from _judge_pushes(record, calls)
    rows = _collect(record, calls)
    removed = {id for ids in record.removed.values() for id in ids}
    gone = {(row.reader, row.calls[0].group) for id, row in rows.items() if id in removed}
    yield from (f"group {id} has no event" for id in record.groups.keys() - rows.keys())
    for id, row in rows.items():
        group = record.groups.get(id)
        taken_out = sum(call.key in withdrawn for call in row.calls)
        if group is None:
            if id not in removed or taken_out != len(row.calls):
                yield f"group {id} is lost, with {len(row.calls) - taken_out} that nobody has withdrawn"
            continue
        yield from (f"group {id} {fault}" for fault in _judge_row(group, row.calls, withdrawn))
        if record.acts["changed", id] != taken_out:
            yield f"group {id}: {record.acts['changed', id]} events tell of {taken_out} withdrawals"
        if group.arrived_at != max(row.places) or len(set(row.places)) != len(row.places):
            yield f"group {id} has grown and has not moved up in lists: {sorted(row.places)}"
        if (row.reader, group.name) not in gone and not _may_be_closed(group, record):
            yield f"group {id} grows no more, for no reason"


def _collect(record: Record, calls: Mapping[str, Call]) -> dict[int, Row]:
    rows: dict[int, Row] = {}
    for stream, pushes in record.pushes.items():
        for push in pushes:
            if push.key in calls:
                row = rows.setdefault(push.id, Row(stream))
                row.calls.append(calls[push.key])
                row.places.append(push.arrived_at)
    return rows


def _judge_pushes(record: Record, calls: Mapping[str, Call]) -> Iterator[str]:
    """Each growth is told of once."""
    pushed = Counter((stream, push.key) for stream, pushes in record.pushes.items() for push in pushes)
    for key, call in calls.items():
        for reader in call.readers:
            times = pushed[f"user.{reader}", key]
            if times > 1 or (times == 0 and call.is_known):
                yield f"{key} for a group of user {reader} has {times} events"


def _judge_row(group: Group, calls: Sequence[Call], withdrawn: set[str]) -> Iterator[str]:
    left = [call for call in calls if call.key not in withdrawn]
    if any((call.group, group.reader in call.readers) != (group.name, True) for call in calls):
        yield f"has what belongs to another: {calls}"
    people = {call.actor for call in left if call.actor is not None}
    count = len(people) + sum(call.actor is None for call in left)
    if group.count != count:
        yield f"counts {group.count} instead of {count}"
    members = {call.member for call in left} - {None}
    if Counter(group.members) != Counter(members):
        yield f"has the members {sorted(group.members)} instead of {sorted(filter(None, members))}"
    yield from _judge_named(group, calls, people, {call.actor for call in calls if call.key in withdrawn})
    begun = max(call.begun for call in calls)
    if not any(call.key == group.newest and call.ended >= begun for call in calls):
        yield f"has the texts of {group.newest}, after which came others"
    if group.is_open and group.is_closed_by_reader:
        yield "grows on, though its reader has read or archived it"


def _judge_named(group: Group, calls: Sequence[Call], people: set[int], leaving: set[int | None]) -> Iterator[str]:
    """`leaving` were named or not when something of theirs was withdrawn; nobody takes their place."""
    most = min(NAMED, len(people))
    if len(set(group.named)) != len(group.named) or not people.issuperset(group.named) or len(group.named) > most:
        yield f"names {group.named} of {people}"
    if len(group.named) < most and not leaving - {None}:
        yield f"names {group.named} only, of {people}"
    known = [person for person in group.named if person not in leaving]
    rest = [person for person in people if person not in leaving and person not in group.named]
    for place, person in enumerate(known):
        ended = max((call.ended for call in calls if call.actor == person), default=0.0)
        for other in [*known[place + 1 :], *rest]:
            if any(call.begun > ended for call in calls if call.actor == other):
                yield f"names {group.named}, though {other} came after {person}"


def _may_be_closed(group: Group, record: Record) -> bool:
    """It is open, or its reader has closed it, or another began when its time was over."""
    if group.is_open or group.is_closed_by_reader:
        return True
    quiet = group.arrived_at + timedelta(seconds=GROUP_SECONDS)
    old = group.created_at + timedelta(seconds=GROUP_SECONDS_AT_MOST)
    others = (one for one in record.groups.values() if (one.reader, one.name) == (group.reader, group.name))
    return any(one.created_at >= min(quiet, old) for one in others)
