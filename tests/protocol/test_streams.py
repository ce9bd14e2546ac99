"""What one socket is subscribed to: the note, the right, the end, in every order in which they can come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol.streams import (
    SITE,
    Subscriptions,
    is_stream,
    room_stream,
    split_stream,
    topic_stream,
    user_stream,
)

ROOM, TOPIC = "room.general", "topic.prices"


@pytest.mark.parametrize(
    ("steps", "asked", "live", "room"),
    [
        ("", False, False, None),
        ("ask", True, False, None),
        ("ask grant", True, False, 7),
        ("ask grant attach", True, True, 7),
        ("ask attach", True, True, -1),  # a right that belongs to no room is granted by attaching
        ("ask withdraw", False, False, None),
        ("ask grant withdraw", True, False, 7),  # what was granted is not withdrawn with the note
        ("ask grant attach ask withdraw", True, True, 7),  # nor by asking again in vain
        ("ask attach ask withdraw", True, True, -1),
        ("ask remove", False, False, None),
        ("ask remove grant", False, False, None),  # a right that ended while it was being looked up
        ("ask remove grant attach", False, False, None),
        ("ask grant remove attach", False, False, None),
        ("ask grant attach remove", False, False, None),
        ("ask remove ask grant attach", True, True, 7),  # asked for again after it had ended
        ("grant attach", False, False, None),  # never asked for
        ("ask grant attach close", False, False, None),
        ("ask grant close attach", False, False, None),  # the socket has gone meanwhile
    ],
)
def test_it_knows_what_a_socket_has(steps, asked, live, room):
    subscriptions = Subscriptions()
    for step in steps.split():
        take(subscriptions, step, ROOM)
    assert (ROOM in subscriptions, ROOM in subscriptions.live) == (asked, live)
    assert subscriptions.find_room("general") == room
    assert subscriptions.rooms() == ({} if room is None else {"general": room})
    assert subscriptions.room_count == asked


def take(subscriptions, step, stream):
    step = getattr(subscriptions, step)
    given = {"grant": (stream, 7), "attach": (stream, 5), "close": ()}
    return step(*given.get(step.__name__, (stream,)))


def test_it_says_whether_a_right_is_still_there():
    subscriptions = Subscriptions()
    subscriptions.ask(TOPIC)
    assert subscriptions.grant(TOPIC)
    assert subscriptions.attach(TOPIC, 5)
    assert subscriptions.remove(TOPIC)
    assert not subscriptions.remove(TOPIC)
    assert not subscriptions.grant(TOPIC)
    assert not subscriptions.attach(TOPIC, 5)


def test_it_keeps_the_positions_of_a_socket_that_has_gone():
    subscriptions = Subscriptions()
    for stream in (SITE, ROOM):
        subscriptions.ask(stream)
        subscriptions.attach(stream, 5)
    subscriptions.remove(ROOM)
    assert set(subscriptions.close()) == {SITE}
    assert subscriptions.positions.confirmed == {SITE: 5}


def test_a_position_that_the_client_had_before_stays():
    subscriptions = Subscriptions()
    subscriptions.positions.start(ROOM, 3)
    subscriptions.ask(ROOM)
    subscriptions.attach(ROOM, 9)
    assert subscriptions.positions.confirmed == {ROOM: 3}


STEPS = st.sampled_from(["ask", "grant", "withdraw", "attach", "remove"])
STREAMS = st.sampled_from(["site", "user.1", "room.a", "room.b", "topic.a"])


@given(st.lists(st.tuples(STEPS, STREAMS)))
def test_it_holds_whatever_happens(steps):
    subscriptions, holders = Subscriptions(), {}
    subscriptions.list_rooms_in(holders, "me")
    removed = set()  # and not asked for since
    for step, stream in steps:
        took = take(subscriptions, step, stream)
        removed = {*removed, stream} if step == "remove" else removed - {stream} if step == "ask" else removed
        assert not (step in ("grant", "attach") and took and stream in removed)
        asked = {name for name in ("site", "user.1", "room.a", "room.b", "topic.a") if name in subscriptions}
        assert subscriptions.live <= asked
        assert asked.isdisjoint(removed)
        assert subscriptions.room_count == sum(name.startswith("room.") for name in asked)
        assert holders == {name: {"me"} for name in asked if name.startswith("room.")}


def test_it_is_listed_in_the_rooms_that_it_has_already():
    subscriptions, holders = Subscriptions(), {ROOM: {"other"}}
    for stream in (SITE, ROOM, "room.mine"):
        subscriptions.ask(stream)
    subscriptions.list_rooms_in(holders, "me")
    assert holders == {ROOM: {"other", "me"}, "room.mine": {"me"}}
    subscriptions.close()
    assert holders == {ROOM: {"other"}}


@pytest.mark.parametrize(
    ("stream", "parts"),
    [
        ("site", ("site", "")),
        (user_stream(7), ("user", "7")),
        (room_stream("general"), ("room", "general")),
        (topic_stream("prices"), ("topic", "prices")),
    ],
)
def test_a_stream_has_a_kind_and_a_name(stream, parts):
    assert split_stream(stream) == parts
    assert is_stream(stream)


@pytest.mark.parametrize(
    "text", ["", "room", "room.", "sites", "site.a", "room.a b", "room.a\n", "group.a", "user." + "x" * 96]
)
def test_it_knows_what_names_no_stream(text):
    assert not is_stream(text)
