"""Messages: stored once, delivered once, byte for byte, many in one transaction."""

import json
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import pytest
from django.db import OperationalError

from realtime.chat import messages as chat
from realtime.chat.direct import open_pair
from realtime.models import Event, Message, Room, Stream
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.frames import stamp
from realtime.storage import database, log
from realtime.storage.database import DatabaseUnavailable
from tests.people import make_user
from tests.racing import at_once

pytestmark = pytest.mark.django_db(transaction=True)

TEXTS = [
    "",
    'it\'s "quoted" \\ and \\\\ and \\u0041 and \\n',
    "100% %s %(name)s %% $1 :name {0} ?",
    "'); DROP TABLE realtime_message; --",
    "😀 👩‍👩‍👧 日本語 עברית e\u0301 \u2028\u2029 \ufeff \uffff",
    '{"type":"chat","data":[1,2.0,null]}',
    " \t\r\n\x01\x7f ",
    "</script><b>&amp;",
    "x" * 10_000,
]


@pytest.fixture
def sender():
    return make_user("sender")


@pytest.fixture
def room():
    return Room.objects.create(slug="a")


@pytest.fixture
def write(sender, room):
    """A message to the room; `write(text, client_id, room=…)`."""

    def make(text="hello", client_id=None, **changes):
        fields = {"sender": sender.pk, "sender_id": sender.pk, "sender_name": "sender", "kind": "text"}
        where = {"room": room.pk, "room_slug": room.slug}
        return chat.Post(**{**fields, "text": text, "client_id": client_id, **where, **changes})

    return make


@pytest.fixture
def direct(write, sender, bob):
    """A message to the other user."""
    pair = open_pair(sender.pk, bob.pk)
    return partial(write, room=pair.room, room_slug="", recipient=bob.pk, recipient_id=bob.pk)


def store(*posts):
    """What `chat.store` says of each, refusals by their codes."""
    return [outcome.code if isinstance(outcome, Refused) else outcome for outcome in chat.store(list(posts))]


def seqs(stream):
    return list(Event.objects.filter(stream=stream).order_by("seq").values_list("seq", flat=True))


def without_events(posted):
    return replace(posted, events=())


@pytest.mark.parametrize("text", [*TEXTS, "\x01\x02\x1f" * 9, '"' * 9, "\\" * 9, "\n\t" * 9, "é" * 9, "\U0001f600" * 9])
def test_it_knows_how_many_bytes_a_text_needs(write, text):
    """What waits, and what goes out at once, is bounded by it."""
    frame, without = (chat._frame(write(some), 1, "now") for some in (text, ""))
    assert chat.measure(write(text)) == len(frame) - len(without)


def test_it_stores_message_and_event_together(write, sender, room):
    (posted,) = store(write("hello", "c-1", kind="image"))
    message = Message.objects.get()
    assert (message.pk, message.seq, message.recipient_seq) == (posted.message_id, posted.seq, None)
    assert (message.room, message.sender, message.text, message.kind) == (room, sender, "hello", "image")
    assert [(e.stream, e.seq) for e in posted.events] == [("room.a", 1)]
    assert log.missed("room.a", 0, 9) == list(posted.events)
    assert json.loads(posted.events[0].body) == {
        "type": "chat",
        "data": {
            "from_user_id": sender.pk,
            "from_username": "sender",
            "message": "hello",
            "timestamp": posted.timestamp,
            "message_id": posted.message_id,
            "kind": "image",
            "room_id": "a",
            "client_id": "c-1",
        },
        "timestamp": posted.timestamp,
    }


def test_it_keeps_the_order_of_a_batch(write):
    other_room = Room.objects.create(slug="b")
    elsewhere = partial(write, room=other_room.pk, room_slug="b")
    posted = store(*[(elsewhere if number % 3 else write)(str(number)) for number in range(30)])
    assert [event.seq for p in posted[::3] for event in p.events] == list(range(1, 11))
    texts = Message.objects.filter(room=other_room).order_by("seq").values_list("text", flat=True)
    assert list(texts) == [str(number) for number in range(30) if number % 3]
    assert [Message.objects.get(pk=p.message_id).text for p in posted] == [str(number) for number in range(30)]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_it_keeps_every_text_byte_for_byte(write, text):
    (posted,) = store(write(text, text[:64], sender_name=text[:100]))
    assert Message.objects.get().text == text
    assert Event.objects.get().body.encode() == posted.events[0].body
    data = json.loads(stamp(posted.events[0].body, "room.a", 1))["data"]
    assert (data["message"], data["client_id"], data["from_username"]) == (text, text[:64], text[:100])
    assert store(write(text, text[:64])) == [without_events(posted)]


def test_it_keeps_them_apart_in_one_batch(write):
    posted = store(*[write(text) for text in TEXTS])
    assert [Message.objects.get(pk=p.message_id).text for p in posted] == TEXTS


def test_it_knows_a_repeat_within_a_batch(write):
    first, again, fresh = store(write("hello", "c-1"), write("hello", "c-1"), write("hello", "c-2"))
    assert again == without_events(first)
    assert [first.seq, fresh.seq] == [1, 2]
    assert (Message.objects.count(), seqs("room.a")) == (2, [1, 2])


def test_it_knows_a_repeat_of_an_earlier_batch(write):
    (first,) = store(write("hello", "c-1"))
    fresh, again = store(write("new", "c-2"), write("hello", "c-1"))
    assert again == without_events(first)
    assert [e.seq for e in fresh.events] == [2]
    assert (Message.objects.count(), seqs("room.a")) == (2, [1, 2])


def test_it_takes_the_same_words_without_an_id_for_two_messages(write):
    posted = store(write("hello"), write("hello"))
    assert [p.seq for p in posted] == [1, 2]


def test_it_does_not_mix_up_the_ids_of_two_senders(write, bob):
    posted = store(write("hello", "c-1"), write("hello", "c-1", sender=bob.pk, sender_id=bob.pk))
    assert [p.seq for p in posted] == [1, 2]


def test_it_refuses_an_id_that_was_used_for_something_else(write):
    other_room = Room.objects.create(slug="b")
    in_batch = store(write("hello", "c-1"), write("other", "c-1"), write("hello", "c-1"))
    assert [in_batch[1], in_batch[2]] == [ErrorCode.CONFLICT, without_events(in_batch[0])]
    moved = write("hello", "c-1", room=other_room.pk, room_slug="b")
    assert store(write("other", "c-1"), moved) == [ErrorCode.CONFLICT, ErrorCode.CONFLICT]
    assert (Message.objects.count(), seqs("room.a"), seqs("room.b")) == (1, [1], [])


def test_it_is_one_message_when_it_is_sent_twice_at_once(write):
    for number in range(5):
        post = write("hello", f"c-{number}")
        outcomes = at_once(*[partial(store, post, write("beside"))] * 2, partial(store, post))
        # A batch that collided is left for the Batcher to split.
        alone = [store(post)[0] if isinstance(outcome, Exception) else outcome[0] for outcome in outcomes]
        assert len({without_events(posted) for posted in alone}) == 1
        assert sum(bool(posted.events) for posted in alone) <= 1
    assert Message.objects.exclude(client_id=None).count() == 5
    assert seqs("room.a") == list(range(1, Stream.objects.get().last_seq + 1))


@pytest.mark.parametrize(("state", "stored"), [("40P01", 1), ("57P01", 0)])
def test_it_tries_again_after_a_deadlock_only(write, monkeypatch, state, stored):
    cause, real = Exception("deadlock detected"), chat._store
    cause.sqlstate = state

    def fail_once(posts, **options):
        monkeypatch.setattr(chat, "_store", real)
        raise OperationalError from cause

    monkeypatch.setattr(chat, "_store", fail_once)
    with nullcontext() if stored else pytest.raises(DatabaseUnavailable) as raised:
        store(write())
    assert stored or raised.value.reason is Reason.NOTHING_STORED
    assert Message.objects.count() == stored


def test_a_room_that_has_gone_refuses_nobody_else(write, sender):
    """Ids as frames have them, which are strings where a site's users have UUIDs."""
    gone = write("bad", room=10**6, room_slug="gone", sender=str(sender.pk))
    refused, stored = store(gone, write("good", sender=str(sender.pk)))
    assert refused is ErrorCode.NOT_FOUND
    assert stored.seq == 1


def test_it_refuses_a_room_that_has_gone(write, room):
    room.delete()
    assert store(write()) == [ErrorCode.NOT_FOUND]
    assert (Message.objects.count(), Stream.objects.count()) == (0, 0)


def test_it_stores_a_batch_without_those_whose_room_is_missing(write):
    good, bad, also_good = store(write("good"), write("bad", room=10**6), write("also good"))
    assert (good.seq, bad, also_good.seq) == (1, ErrorCode.NOT_FOUND, 2)
    assert (Message.objects.count(), Event.objects.count()) == (2, 2)


def test_it_leaves_a_batch_to_be_split_when_nobody_is_at_fault(write, monkeypatch):
    def fail(posts, *, look_for_repeats):
        raise chat.IntegrityError

    monkeypatch.setattr(chat, "_store", fail)
    with pytest.raises(chat.IntegrityError):
        store(write("one"), write("two"))


async def test_it_does_not_let_one_bad_message_take_others_along(write):
    published = []
    messages = chat.Messages(published.append, compare=lambda: None)
    posts = [write(str(number), f"c-{number}") for number in range(20)]
    posts[7] = write("bad", room=10**6, room_slug="gone")
    posts[13] = write("5", "c-5")
    futures = [messages.post(post) for post in posts]
    await messages.drain()
    results = [future.exception() or future.result() for future in futures]
    assert results[7].code == ErrorCode.NOT_FOUND
    assert results[13] == without_events(results[5])
    kept = [number for number in range(20) if number not in (7, 13)]
    assert [results[number].seq for number in kept] == list(range(1, 19))
    assert sorted(seq for envelope in published for _stream, seq, _body in envelope.events) == list(range(1, 19))
    assert await database.run(seqs, "room.a") == list(range(1, 19))
    database.shutdown()


def test_it_writes_a_direct_message_to_both_users(direct, sender, bob):
    log.commit([(f"user.{bob.pk}", b"{}")] * 3)
    (posted,) = store(direct("psst", "c-1"))
    assert [(e.stream, e.seq) for e in posted.events] == [(f"user.{sender.pk}", 1), (f"user.{bob.pk}", 4)]
    assert len({e.body for e in posted.events}) == 1
    message = Message.objects.get()
    assert (message.seq, message.recipient, message.recipient_seq, posted.seq) == (1, bob, 4, 1)
    data = json.loads(posted.events[0].body)["data"]
    assert (data["from_user_id"], data["to_user_id"], "room_id" in data) == (sender.pk, bob.pk, False)
    assert store(direct("psst", "c-1")) == [without_events(posted)]


def test_it_lets_two_write_to_each_other_at_once(direct, sender, bob):
    there = direct()
    back = replace(there, sender=bob.pk, sender_id=bob.pk, recipient=sender.pk, recipient_id=sender.pk)
    batches = at_once(*[partial(store, *[post] * 5) for post in (there, back, there, back)])
    assert all(isinstance(posted, chat.Posted) for batch in batches for posted in batch)
    for user in (sender, bob):
        assert seqs(f"user.{user.pk}") == list(range(1, 21))


def test_it_stores_rooms_and_direct_messages_in_one_batch(write, direct, sender):
    posted = store(write("1"), direct("2"), write("3"), direct("4"))
    assert [p.seq for p in posted] == [1, 1, 2, 2]
    assert list(Message.objects.order_by("pk").values_list("recipient_seq", flat=True)) == [None, 1, None, 2]


@pytest.mark.parametrize(("text", "client_id"), [("x" * 10_001, None), ("a\0b", None), ("hello", "c\0")])
async def test_it_refuses_what_cannot_be_stored(text, client_id):
    post = chat.Post(1, 1, "sender", text, "text", client_id, 1, "a")
    messages = chat.Messages(lambda _envelope: None, compare=lambda: None)
    with pytest.raises(Refused) as refused:
        messages.post(post)
    assert refused.value.code == ErrorCode.INVALID_MESSAGE


async def test_it_stores_few_bytes_at_a_time_and_refuses_what_is_too_much(write, settings):
    settings.REALTIME = {**settings.REALTIME, "COMMIT_BYTES": 100, "MAX_WAITING_COMMIT_BYTES": 400}
    published = []
    messages = chat.Messages(published.append, compare=lambda: None)
    futures = [messages.post(write("\U0001f600" * 10)) for _ in range(10)]
    with pytest.raises(Refused) as refused:
        messages.post(write("!"))
    assert refused.value.reason == Reason.TOO_MUCH_WAITING
    await messages.drain()
    assert [future.result().seq for future in futures] == list(range(1, 11))
    assert [len(envelope.events) for envelope in published] == [2] * 5
    database.shutdown()
