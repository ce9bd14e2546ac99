"""What site code publishes: stored, sent, refused. Transactions have a file of their own."""

import msgspec
import pytest
from django.db import OperationalError, connection, models, transaction
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

import realtime
from realtime.auth import user_ids
from realtime.delivery import bridge, outbox, publishing
from realtime.delivery.envelopes import pack
from realtime.models import Event, Stream
from realtime.protocol.streams import user_stream
from realtime.storage import bundles, pending
from tests.delivery.publications import numbers, say, stored, undone
from tests.paper import PaperLayer
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_sends_at_once_without_a_transaction(sent):
    say(1)
    assert (numbers(sent), stored()) == ([[1]], [(1, 1)])
    assert sent[0].events == [("site", 1, b'{"type":"test","n":1}')]
    say(2)
    assert (numbers(sent), stored()) == ([[1], [2]], [(1, 1), (2, 2)])


def test_it_does_not_store_what_is_not_durable(sent):
    say(1, "room.a", durable=False)
    assert (numbers(sent), Event.objects.count(), Stream.objects.count()) == ([[1]], 0, 0)
    assert not sent[0].passing[0].droppable


@pytest.mark.parametrize("durable", [0, 1])
def test_it_takes_numbers_for_yes_and_no(sent, durable):
    """0 stored the frame in every stream but those of topics."""
    say(1, "room.a", durable=durable)
    assert Event.objects.count() == durable


@pytest.mark.parametrize(
    "stream",
    [
        "",
        "sit",
        "site.x",
        "site\n",
        "user.",
        "user.1\n",
        "user",
        "rooms.a",
        "room.a b",
        "topic.ä",
        "room." + 65 * "x",
        None,
        5,
        b"site",
    ],
)
def test_it_refuses_streams_that_cannot_be(sent, stream):
    with pytest.raises(ValueError, match="There is no stream"):
        say(1, stream)
    assert (sent, Event.objects.count()) == ([], 0)


@pytest.mark.parametrize("stream", ["user.007", "user.alice", "user.%31.0", "user.1%00"])
@pytest.mark.parametrize("durable", [True, False])
def test_it_refuses_ids_that_no_user_can_have(sent, stream, durable):
    with pytest.raises(ValueError, match=r"There is no stream 'user\..* is not the id of a user"):
        say(1, stream, durable=durable)
    assert (sent, Event.objects.count()) == ([], 0)


KEY = "6fa459ea-ee8a-3ca4-94e3-1ed1ff4a3b0e"


@pytest.mark.parametrize("written", [KEY, KEY.replace("-", ""), KEY.upper(), f"%7B{KEY}%7D"])
def test_it_finds_a_user_however_the_key_is_written(monkeypatch, sent, written):
    """A UUID without dashes named a stream of its own, which reached nobody."""
    monkeypatch.setattr(user_ids, "_key_field", models.UUIDField)
    say(1, f"user.{written}")
    assert Stream.objects.get().name == f"user.{KEY}"


@pytest.mark.parametrize("key", ["bob@example.com", "x" * 200, "~x", "张"])
def test_it_takes_the_names_that_clients_see(monkeypatch, sent, key):
    monkeypatch.setattr(user_ids, "_key_field", lambda: models.CharField(max_length=254))
    say(1, user_stream(key))
    assert Stream.objects.get().name == user_stream(key)


@pytest.mark.parametrize("frame", [{}, {"type": 5}, {"type": None}, {"n": 1}])
def test_it_refuses_frames_without_a_type(sent, frame):
    with pytest.raises(ValueError, match="type"):
        realtime.publish("site", frame)
    assert (sent, Event.objects.count()) == ([], 0)


class Task(msgspec.Struct, tag_field="type", tag="task"):
    key: int = msgspec.field(name="id", default=1)


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "task", "id": 7},
        {"type": "task", "id": None},
        {"type": "task", "seq": 1},
        {"type": "task", "stream": "site"},
        {"type": "gap"},
        {"type": "user"},
        Task(),
    ],
)
@pytest.mark.parametrize("durable", [True, False])
def test_it_refuses_what_clients_would_take_for_something_else(sent, frame, durable):
    """A frame with an `id` is an answer for a client, and came to no tab of a browser that shares a socket."""
    with pytest.raises(ValueError, match="reserved"):
        realtime.publish("site", frame, durable)
    assert (sent, Event.objects.count()) == ([], 0)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (object(), TypeError),
        ("\ud800", ValueError),
        ({(1, 2): 3}, TypeError),
        (1j, TypeError),
        ("x" * 1_048_576, ValueError),  # no socket could get it
    ],
)
@pytest.mark.parametrize("durable", [True, False])
def test_it_stores_nothing_that_cannot_be_sent(sent, value, error, durable):
    with transaction.atomic():
        with pytest.raises(error):
            realtime.publish("site", {"type": "test", "value": value}, durable)
        say(1)
    assert (numbers(sent), stored()) == ([[1]], [(1, 1)])


def test_it_reaches_the_layer_from_a_process_without_sockets(monkeypatch):
    layer = PaperLayer()
    monkeypatch.setattr(bridge, "shared_layer", lambda: layer)
    with transaction.atomic():
        say(1)
        say(2, durable=False)
    assert numbers(layer.publications) == [[1], [2]]


@pytest.mark.parametrize("durable", [True, False])
def test_it_takes_every_kind_of_text(sent, durable):
    """What `render_to_string` returns was refused. In a stream's name, it cost the publications sent with it."""
    realtime.publish(mark_safe("site"), {"type": mark_safe("test"), "html": mark_safe("<b>1</b>")}, durable)
    (envelope,) = sent
    bodies = [body for _, _, body in envelope.events] + [passing.body for passing in envelope.passing]
    assert bodies == [b'{"type":"test","html":"<b>1</b>"}']
    pack(envelope)


@pytest.mark.parametrize(
    ("reason", "written"),
    [(gettext_lazy("Save"), "Save"), (mark_safe("BANNED"), "BANNED"), ("BANNED", "BANNED")],
)
def test_a_reason_is_any_kind_of_text(sent, reason, written):
    """No socket was closed, and what was to be sent with it reached no other process."""
    realtime.disconnect_user(7, reason)
    assert [control.reason for control in sent[0].controls] == [written]
    pack(sent[0])


@pytest.mark.parametrize("reason", [None, 5, b"BANNED", ["BANNED"]])
def test_a_reason_is_a_text(sent, reason):
    with pytest.raises(TypeError, match="A reason is a text"):
        realtime.disconnect_user(7, reason)
    assert sent == []


class Row(msgspec.Struct, tag_field="type", tag="test", array_like=True):
    n: int = 1


class Numbered(msgspec.Struct, tag_field="type", tag=1):
    n: int = 1


@pytest.mark.parametrize("struct", [Row(), Numbered()])
def test_it_refuses_structs_whose_json_has_no_type(sent, struct):
    """An array was stored, and everybody who resumed the stream got a frame that is not JSON."""
    with pytest.raises(ValueError, match="type"):
        realtime.publish("site", struct)
    assert (sent, Event.objects.count()) == ([], 0)


@pytest.fixture
def own_bridge(monkeypatch):
    """A bridge of the test's own, which does not look whether the layer is back."""
    monkeypatch.setattr(outbox, "RETRY_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(bridge, "_bridge", None)


def test_it_does_not_fail_its_caller_when_the_layer_fails(own_bridge, monkeypatch, caplog):
    layer = PaperLayer()
    layer.failing = True
    monkeypatch.setattr(bridge, "shared_layer", lambda: layer)
    say(1)
    with transaction.atomic():
        say(2)
        say(3, durable=False)
    realtime.disconnect_user(7)
    assert stored() == [(1, 1), (2, 2)]
    assert [record.getMessage() for record in caplog.records] == ["The channel layer is away: the layer is away"]


def test_it_does_not_fail_its_caller_when_the_layer_is_set_up_wrongly(own_bridge, monkeypatch, caplog):
    def fail():
        raise ImportError("no such layer")

    monkeypatch.setattr(bridge, "shared_layer", fail)
    say(1)
    assert stored() == [(1, 1)]
    assert "did not reach the channel layer" in caplog.text


@pytest.mark.parametrize(("error", "level"), [(RuntimeError("broken"), "ERROR"), (OperationalError("away"), "WARNING")])
def test_it_leaves_to_the_sweep_what_cannot_be_sequenced(sent, monkeypatch, caplog, error, level):
    def fail(keys):
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(pending, "sequence", fail)
        with transaction.atomic():
            say(1)
    (logged,) = caplog.records
    assert (logged.levelname, "wait for the sweep" in logged.getMessage()) == (level, True)
    assert (sent, [(event.stream, event.seq) for event in pending.sweep(-1).events]) == ([], [("site", 1)])


def test_one_portion_that_cannot_be_sequenced_keeps_no_other_waiting(sent, monkeypatch, caplog):
    whole, portions = pending.sequence, []

    def fail_first(keys):
        portions.append(keys)
        if len(portions) == 1:
            raise RuntimeError("broken")
        return whole(keys)

    monkeypatch.setattr(bundles, "MOST", 1)
    monkeypatch.setattr(pending, "sequence", fail_first)
    with transaction.atomic():
        say(1)
        say(2)
    assert numbers(sent) == [[2]]
    assert len(caplog.records) == 1


def test_it_talks_to_users(sent):
    realtime.send_to_user(7, {"type": "test", "n": 1})
    realtime.disconnect_user(7)
    publishing.disconnect_login("login")
    publishing.unsubscribe(7, "room.a")
    publishing.close_stream("room.a")
    assert sent[0].events == [("user.7", 1, b'{"type":"test","n":1}')]
    controls = [(c.verb, c.user, c.login, c.stream, c.code, c.reason) for e in sent[1:] for c in e.controls]
    assert controls == [
        ("disconnect", "7", None, None, 4403, "KICKED"),
        ("disconnect", None, "login", None, 4401, "UNAUTHENTICATED"),
        ("unsubscribe", "7", None, "room.a", 0, ""),
        ("unsubscribe", None, None, "room.a", 0, ""),
    ]


@pytest.mark.django_db
def test_a_test_case_can_capture_what_would_be_sent(sent, django_capture_on_commit_callbacks):
    """In a TestCase nothing is committed, and Django takes the hooks that were appended while it captured."""
    transaction.on_commit(lambda: None)
    say(1)
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        transaction.on_commit(lambda: None)
        say(2)
        realtime.disconnect_user(7)
    assert (len(callbacks), numbers(sent)) == (3, [[2], []])


@pytest.mark.django_db
@pytest.mark.parametrize("execute", [True, False])
def test_a_test_case_can_capture_again(sent, django_capture_on_commit_callbacks, execute):
    """Django leaves in the queue what was captured before."""
    for n in (1, 2, 3):
        with django_capture_on_commit_callbacks(execute=execute) as callbacks:
            say(n)
        assert len(callbacks) == 1
        if not execute:
            callbacks[0]()
    assert numbers(sent) == [[1], [2], [3]]


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


def test_it_refuses_a_reason_that_no_close_frame_carries():
    with pytest.raises(ValueError, match="123 bytes"):
        realtime.disconnect_user(1, "ü" * 62)
