"""What site code publishes: stored with its transaction, sent after the commit, forgotten on rollback."""

import json
from contextlib import contextmanager, suppress

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import realtime
from realtime import database, delivery, log, portal
from realtime.models import Event, Stream
from tests.paper import PaperLayer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(monkeypatch):
    """What reached the channel layer, one envelope each."""
    envelopes = []
    monkeypatch.setattr(portal, "publish", envelopes.append)
    yield envelopes
    database.shutdown()


class Undo(Exception):
    """Ends a block that is to be rolled back."""


@contextmanager
def undone():
    with suppress(Undo), transaction.atomic():
        yield
        raise Undo


def say(number, stream="site", durable=True):
    realtime.publish(stream, {"type": "test", "n": number}, durable)


def numbers(envelopes):
    """In the order in which they were sent."""
    bodies = [[body for _, _, body in e.events] + [passing.body for passing in e.passing] for e in envelopes]
    return [[json.loads(body)["n"] for body in some] for some in bodies]


def stored(stream="site"):
    events = Event.objects.filter(stream=stream).order_by("seq")
    return [(event.seq, json.loads(event.body)["n"]) for event in events]


def test_it_sends_at_once_without_a_transaction(sent):
    say(1)
    assert (numbers(sent), stored()) == ([[1]], [(1, 1)])
    assert sent[0].events == [("site", 1, b'{"type":"test","n":1}')]
    say(2)
    assert (numbers(sent), stored()) == ([[1], [2]], [(1, 1), (2, 2)])


def test_it_sends_after_the_commit(sent):
    with transaction.atomic():
        say(1)
        assert Event.objects.get().seq is None
        assert not Stream.objects.exists()  # no lock is held while the site works on
        assert sent == []
    assert (numbers(sent), stored()) == ([[1]], [(1, 1)])


def test_it_forgets_on_rollback(sent):
    with undone():
        say(1)
        say(2, durable=False)
    assert (sent, stored()) == ([], [])
    say(3)
    assert stored() == [(1, 3)]


def test_it_sends_a_transactions_events_together_and_in_order(sent):
    with transaction.atomic():
        for number in range(1, 6):
            say(number, "site" if number % 2 else "topic.even")
    assert numbers(sent) == [[1, 2, 3, 4, 5]]
    assert stored() == [(1, 1), (2, 3), (3, 5)]
    assert stored("topic.even") == [(1, 2), (2, 4)]


def test_it_forgets_what_a_savepoint_takes_back(sent):
    with transaction.atomic():
        say(1)
        with undone():
            say(2)
        with transaction.atomic():
            say(3)
            with undone():
                say(4)
        say(5)
    assert (numbers(sent), stored()) == ([[1, 3, 5]], [(1, 1), (2, 3), (3, 5)])


def test_it_gives_many_blocks_in_one_transaction_one_flush(sent):
    with transaction.atomic():
        for number in range(50):
            with transaction.atomic():  # as `notify` does
                say(number)
    assert numbers(sent) == [list(range(50))]


def test_it_loses_nothing_when_the_block_that_began_the_flush_is_taken_back(sent):
    with transaction.atomic():
        with undone():
            say(1)
        say(2)
        with undone():
            with transaction.atomic():
                say(3)
            say(4)
        with transaction.atomic():
            say(5)
    assert (numbers(sent), stored()) == ([[2, 5]], [(1, 2), (2, 5)])


def test_it_keeps_the_order_with_what_is_not_stored(sent):
    with transaction.atomic():
        say(1)
        say(2, durable=False)
        say(3)
        with undone():
            say(4, durable=False)
        say(5)
    assert numbers(sent) == [[1], [2], [3, 5]]


def test_it_survives_savepoints_made_by_hand(sent):
    with transaction.atomic():
        say(1)
        savepoint = transaction.savepoint()
        say(2)
        transaction.savepoint_rollback(savepoint)
        say(3)
    assert (numbers(sent), stored()) == ([[1, 3]], [(1, 1), (2, 3)])


def test_it_sequences_a_long_transaction_in_pieces(sent, monkeypatch):
    monkeypatch.setattr(log, "READ_CHUNK", 2)
    with transaction.atomic():
        for number in range(5):
            say(number)
    assert numbers(sent) == [[0, 1], [2, 3], [4]]


leaves = st.one_of(
    st.tuples(st.just("say"), st.sampled_from(["site", "topic.a"]), st.booleans()), st.just(("other callback",))
)
works = st.recursive(
    st.lists(leaves, max_size=4),
    lambda inner: st.lists(
        leaves | st.tuples(st.sampled_from(["block", "part", "by hand"]), st.booleans(), inner), max_size=4
    ),
    max_leaves=12,
)


class Site:
    """Does such work, and knows what must come of it."""

    def __init__(self):
        self.count = 0
        self.kept = []  # what was said and not taken back

    def do(self, work):
        for step in work:
            getattr(self, step[0].replace(" ", "_"))(*step[1:])

    def say(self, stream, durable):
        self.count += 1
        say(self.count, stream, durable)
        self.kept.append((self.count, stream, durable))

    def other_callback(self):
        transaction.on_commit(lambda: None)

    def block(self, fails, work, savepoint=True):
        before = len(self.kept)
        try:
            with transaction.atomic(savepoint=savepoint):
                self.do(work)
                if fails:
                    raise Undo
        except Undo:
            del self.kept[before:]
            if not savepoint:
                raise  # the whole block around it is lost

    def part(self, fails, work):
        self.block(fails, work, savepoint=False)

    def by_hand(self, fails, work):
        before, durable_only = len(self.kept), []
        savepoint = transaction.savepoint()
        self.do(work)
        if fails:
            transaction.savepoint_rollback(savepoint)
            # Django keeps the callbacks of such a savepoint: what is not stored is sent all the same.
            durable_only = [said for said in self.kept[before:] if not said[2]]
            self.kept[before:] = durable_only


@given(work=works, fails=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_sends_what_is_committed_and_nothing_else(sent, work, fails):
    sent.clear()
    Event.objects.all().delete()
    Stream.objects.all().delete()
    site = Site()
    with suppress(Undo):
        site.block(fails, work)
    assert [number for some in numbers(sent) for number in some] == [number for number, _, _ in site.kept]
    for stream in ("site", "topic.a"):
        kept = [number for number, where, durable in site.kept if durable and where == stream]
        assert stored(stream) == list(enumerate(kept, start=1))


def test_it_does_not_store_what_is_not_durable(sent):
    say(1, "room.a", durable=False)
    assert (numbers(sent), Event.objects.count(), Stream.objects.count()) == ([[1]], 0, 0)
    assert not sent[0].passing[0].droppable


@pytest.mark.parametrize(
    "stream",
    ["", "sit", "site.x", "site\n", "user.", "user.1\n", "user", "rooms.a", "room.a b", "topic.ä", "room." + 65 * "x"],
)
def test_it_refuses_streams_that_cannot_be(sent, stream):
    with pytest.raises(ValueError, match="There is no stream"):
        say(1, stream)
    assert (sent, Event.objects.count()) == ([], 0)


@pytest.mark.parametrize("frame", [{}, {"type": 5}, {"type": None}, {"n": 1}])
def test_it_refuses_frames_without_a_type(sent, frame):
    with pytest.raises(ValueError, match="type"):
        realtime.publish("site", frame)
    assert (sent, Event.objects.count()) == ([], 0)


@pytest.mark.parametrize(
    ("value", "error"), [(object(), TypeError), ("\ud800", ValueError), ({(1, 2): 3}, TypeError), (1j, TypeError)]
)
@pytest.mark.parametrize("durable", [True, False])
def test_it_stores_nothing_that_json_does_not_have(sent, value, error, durable):
    with transaction.atomic():
        with pytest.raises(error):
            realtime.publish("site", {"type": "test", "value": value}, durable)
        say(1)
    assert (numbers(sent), stored()) == ([[1]], [(1, 1)])


def test_it_reaches_the_layer_from_a_process_without_sockets(monkeypatch):
    layer = PaperLayer()
    monkeypatch.setattr(portal, "shared_layer", lambda: layer)
    with transaction.atomic():
        say(1)
        say(2, durable=False)
    assert numbers(layer.publications) == [[1], [2]]


def test_it_does_not_fail_its_caller_when_the_layer_fails(monkeypatch, caplog):
    layer = PaperLayer()
    layer.failing = True
    monkeypatch.setattr(portal, "shared_layer", lambda: layer)
    say(1)
    with transaction.atomic():
        say(2)
        say(3, durable=False)
    assert stored() == [(1, 1), (2, 2)]
    assert caplog.text.count("did not reach the channel layer") == 3


def test_it_leaves_to_the_sweep_what_cannot_be_sequenced(sent, monkeypatch, caplog):
    def fail(keys):
        raise RuntimeError("broken")

    with monkeypatch.context() as broken:
        broken.setattr(log, "sequence", fail)
        with transaction.atomic():
            say(1)
    assert "wait for the sweep" in caplog.text
    assert (sent, [(event.stream, event.seq) for event in log.sweep(-1)]) == ([], [("site", 1)])


def test_it_talks_to_users(sent):
    realtime.send_to_user(7, {"type": "test", "n": 1})
    realtime.disconnect_user(7)
    delivery.disconnect_session("login")
    delivery.unsubscribe(7, "room.a")
    delivery.close_stream("room.a")
    assert sent[0].events == [("user.7", 1, b'{"type":"test","n":1}')]
    controls = [(c.verb, c.user, c.session, c.stream, c.code, c.reason) for e in sent[1:] for c in e.controls]
    assert controls == [
        ("disconnect", "7", None, None, 4403, "KICKED"),
        ("disconnect", None, "login", None, 4401, "UNAUTHENTICATED"),
        ("unsubscribe", "7", None, "room.a", 0, ""),
        ("unsubscribe", None, None, "room.a", 0, ""),
    ]


def test_it_disconnects_on_commit_only(sent):
    with undone():
        realtime.disconnect_user(7)
    with transaction.atomic():
        realtime.disconnect_user(8, "BANNED")
        assert sent == []
    assert [(c.user, c.reason) for e in sent for c in e.controls] == [("8", "BANNED")]


async def test_it_has_asynchronous_twins(sent):
    await realtime.apublish("site", {"type": "test", "n": 1})
    await realtime.apublish("site", {"type": "test", "n": 2}, durable=False)
    await realtime.asend_to_user(7, {"type": "test", "n": 3})
    await realtime.adisconnect_user(7, "BANNED")
    assert numbers(sent) == [[1], [2], [3], []]
    assert sent[3].controls[0].reason == "BANNED"
    with pytest.raises(ValueError, match="There is no stream"):
        await realtime.apublish("nowhere", {"type": "test"})


def test_it_offers_nothing_else():
    assert not connection.in_atomic_block
    with pytest.raises(AttributeError, match="no attribute 'publish_all'"):
        realtime.publish_all  # noqa: B018
