"""The verdict of the chaos: it is silent about a run in which all is well, and names each thing that is not."""

import re
from collections import Counter
from datetime import UTC, datetime
from importlib.util import find_spec
from unittest.mock import Mock

import pytest

from tests.chaos.account import SKIPPED
from tests.chaos.client import TORN, Client
from tests.chaos.people import Person
from tests.chaos.plan import OUTAGES, ROAD_ACTIONS
from tests.chaos.reader import GROUPED, WITHDRAWN, Notified, Reader
from tests.chaos.record import Push, Record
from tests.chaos.run import MOST_BYTES, OUR_FAULT, Report, count_errors, find_large, find_missing_trouble
from tests.chaos.verdict import judge

ALICE, BOB, CAROL = 1, 2, 3
WELL = {TORN: 1, WITHDRAWN: 1, GROUPED: 60, "acts": 60}  # counts of a run of a minute
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MESSAGES = [(1, 101), (2, 102), (3, 103)]  # of one room: `seq` and message id


@pytest.fixture
def client():
    """Alice's. She wrote the second message, and got all of them."""
    client = Client(0, Person(ALICE, "alice", "token"), [], Mock(), seed=0)
    client.streams = ["room.a"]
    client.account.events["room.a"] = [id for _, id in MESSAGES]
    client.outbox.acked["0-1"] = (2, 102)
    return client


@pytest.fixture
def record():
    messages = {(BOB, "1-1"): [(1, 101)], (ALICE, "0-1"): [(2, 102)], (BOB, "1-2"): [(3, 103)]}
    return Record({"room.a": [*MESSAGES]}, {"room.a": 3}, messages, {"room.a": [*MESSAGES]})


def test_it_finds_nothing_where_all_is_well(record, client):
    assert judge(record, [client]) == []


def lose_the_last(record, client):
    client.account.events["room.a"].pop()


def swap_two(record, client):
    client.account.events["room.a"] = [102, 101, 103]


def get_one_too_many(record, client):
    client.account.events["room.a"].append(103)


def get_nothing(record, client):
    client.account.events.clear()


def get_what_is_another_users(record, client):
    client.account.events["user.2"] = [7]


def lose_what_was_acked(record, client):
    del record.messages[ALICE, "0-1"]


def ack_another_place(record, client):
    client.outbox.acked["0-1"] = (3, 102)


def leave_unanswered(record, client):
    client.outbox.add("0-", {"type": "message"})


def store_twice(record, client):
    record.messages[BOB, "1-1"].append((4, 104))


def store_a_hole(record, client):
    for streams in (record.streams, record.places):
        streams["room.a"].remove((2, 102))


def stand_elsewhere(record, client):
    record.last_seqs["room.a"] = 4


def store_an_event_without_its_message(record, client):
    record.places["room.a"].pop()


@pytest.mark.parametrize(
    "spoil",
    [
        lose_the_last,
        swap_two,
        get_one_too_many,
        get_nothing,
        get_what_is_another_users,
        lose_what_was_acked,
        ack_another_place,
        leave_unanswered,
        store_twice,
        store_a_hole,
        stand_elsewhere,
        store_an_event_without_its_message,
    ],
)
def test_it_names_what_is_not_as_it_should_be(record, client, spoil):
    spoil(record, client)
    assert judge(record, [client])


@pytest.fixture
def notified(record):
    """Carol's client, who let the site notify her three times. She has read the first one. The second filled a gap, as
    did the event that tells of the reading; the third was withdrawn.
    """
    reader = Reader(1, [Person(CAROL, "carol", "token")], [], Mock(), seed=0)
    stream = reader.streams[0]
    reader.committed = {f"1-{number}": Notified([CAROL], number, number + 0.5) for number in (1, 2, 3)}
    reader.withdrawn, reader.acted, reader.counts_at_end = {"1-3"}, {("read", 7), ("none", 9)}, (1, 1)
    reader.badge.unread.set(1)
    reader.badge.unseen.set(1)
    reader.listed, reader.lists = {8, 7}, [[8, 7]]
    reader.account.events[stream] = [7, SKIPPED, SKIPPED, 9, -2]
    record.streams[stream], record.last_seqs[stream] = [(1, 7), (2, 8), (3, -1), (4, 9), (5, -2)], 5
    record.notified[stream], record.removed[stream] = [8, 7], [9]
    record.pushes[stream] = [Push(7, "1-1", NOON), Push(8, "1-2", NOON), Push(9, "1-3", NOON)]
    record.names.update({8: "1-2", 7: "1-1"})
    record.keys.update({(CAROL, "1-1"): 1, (CAROL, "1-2"): 1})
    record.acts["read", 7] = record.unread[CAROL] = record.unseen[CAROL] = 1
    record.states.add(("read", 7))
    return reader


def test_it_finds_nothing_where_all_notifications_have_arrived(record, notified):
    assert judge(record, [notified]) == []


def commit_a_notification_that_is_lost(record, reader):
    reader.committed["1-4"] = Notified([CAROL], 4, 5)


def store_what_was_taken_back(record, reader):
    record.keys[CAROL, "1-4"] = 1


def store_what_was_withdrawn(record, reader):
    record.keys[CAROL, "1-3"] = 1


def withdraw_without_an_event(record, reader):
    record.removed.clear()


def withdraw_with_two_events(record, reader):
    record.removed[reader.streams[0]].append(9)


def lose_an_act(record, reader):
    record.states.clear()


def tell_of_no_act(record, reader):
    record.acts.clear()


def tell_of_an_act_twice(record, reader):
    record.acts["read", 7] = 2


def find_nothing_where_something_is(record, reader):
    reader.acted.add(("none", 8))


def count_wrongly(record, reader):
    reader.counts_at_end = (2, 1)


def tell_of_too_many_unread(record, reader):
    reader.badge.unread.set(2)


def tell_of_too_few_unseen(record, reader):
    reader.badge.unseen.set(0)


def lose_an_act_on_many(record, reader):
    reader.acted_together.add(("archive", 8))


def list_twice(record, reader):
    reader.lists[0].append(7)


def list_in_another_order(record, reader):
    reader.lists[0].reverse()


def store_a_notification_twice(record, reader):
    record.keys[CAROL, "1-1"] = 2


def push_none(record, reader):
    record.notified[reader.streams[0]].append(10)


def list_another(record, reader):
    reader.listed = {7, 9}


def get_them_in_another_order(record, reader):
    reader.account.events[reader.streams[0]][:2] = [8, 7]


@pytest.mark.parametrize(
    "spoil",
    [
        commit_a_notification_that_is_lost,
        store_what_was_taken_back,
        store_what_was_withdrawn,
        withdraw_without_an_event,
        withdraw_with_two_events,
        lose_an_act,
        tell_of_no_act,
        tell_of_an_act_twice,
        find_nothing_where_something_is,
        count_wrongly,
        tell_of_too_many_unread,
        tell_of_too_few_unseen,
        lose_an_act_on_many,
        list_twice,
        list_in_another_order,
        store_a_notification_twice,
        push_none,
        list_another,
        get_them_in_another_order,
    ],
)
def test_it_names_notifications_that_are_not_as_they_should_be(record, notified, spoil):
    spoil(record, notified)
    assert judge(record, [notified])


def make_report(**changes):
    everything = Counter([*OUTAGES, *ROAD_ACTIONS])
    facts = {
        "seed": 1,
        "seconds": 60,
        "violations": [],
        "acked": 2000,
        "notified": 200,
        "received": 50_000,
        "longest_away": 5.0,
    }
    return Report(**{**facts, "settled_after": 5.0, "counts": Counter(WELL), "outages": everything, **changes})


def test_it_believes_a_run_in_which_much_was_said_and_everything_broke():
    assert find_missing_trouble(make_report()) == []


@pytest.mark.parametrize("missing", [*OUTAGES, *dict.fromkeys(ROAD_ACTIONS)])
def test_it_does_not_believe_a_run_in_which_something_never_broke(missing):
    report = make_report()
    del report.outages[missing]
    assert find_missing_trouble(report) == [f"never happened: {missing}"]


def test_it_does_not_believe_a_run_without_a_torn_frame_or_without_talk():
    for missing in WELL:
        assert len(find_missing_trouble(make_report(counts=Counter({**WELL, missing: 0})))) == 1
    assert len(find_missing_trouble(make_report(acked=20))) == 1
    assert len(find_missing_trouble(make_report(notified=2))) == 1


def test_it_does_not_expect_everything_of_a_short_run():
    assert (
        find_missing_trouble(make_report(seconds=20, outages=Counter(), counts=Counter({GROUPED: 20, "acts": 20})))
        == []
    )


def test_it_names_servers_that_are_too_large():
    servers = [Mock(peak_bytes=size) for size in (150_000_000, MOST_BYTES + 1)]
    assert find_large(servers) == [f"server 1 had {MOST_BYTES + 1} bytes"]


LOG = """
2026-01-01 10:00:00,000 WARNING realtime.storage.database: The database is unavailable: no route
2026-01-01 10:00:00,000 ERROR realtime.api.errors: Answered 503 to /api/v1/rooms
2026-01-01 10:00:00,000 ERROR django.request: Service Unavailable: /api/v1/rooms
2026-01-01 10:00:00,000 ERROR channels_redis.pubsub: Unexpected exception in receive task
redis.exceptions.ConnectionError: Error 111 connecting to 127.0.0.1:6379. Connection refused.
"""


def test_it_names_loggers_that_there_are():
    named = set(re.findall(r" (realtime[.\w]+): ", LOG))
    assert named == {"realtime.storage.database", "realtime.api.errors"}
    assert all(find_spec(name) for name in named)


def test_it_is_not_surprised_by_errors_of_what_is_away():
    assert not any(OUR_FAULT.search(line) for line in count_errors(LOG))
    assert len(count_errors(LOG)) == 4


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-01 10:00:00,000 ERROR realtime.sockets.refusals: A command failed (reference 1)",
        "2026-01-01 10:00:00,000 ERROR uvicorn.error: Exception in ASGI application",
        "2026-01-01 10:00:00,000 ERROR asyncio: Task exception was never retrieved",
        "2026-01-01 10:00:00,000 CRITICAL realtime.sockets.node: It is over",
    ],
)
def test_it_is_surprised_by_any_other_error(line):
    (found,) = count_errors(LOG + line) - count_errors(LOG)
    assert OUR_FAULT.search(found)
