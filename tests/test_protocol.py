"""Frames: what is in them, what is left out, and times as the protocol writes them."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from realtime.protocol import frames as protocol
from realtime.protocol.errors import ErrorCode, Reason, Refused

ANSWERS = {
    "ack": protocol.ack,
    "ack of a message": lambda id: protocol.ack_message(id, 7, 5, "then"),
    "error": lambda id: protocol.error(Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_ROOM), "There is none.", id),
    "pong": lambda id: protocol.pong(id, 1),
    "joined": lambda id: protocol.joined(id, "general", "General", "member", seq=5),
    "left": lambda id: protocol.left(id, "general"),
    "resumed": lambda id: protocol.resumed(id, {}),
    "subscribed": lambda id: protocol.subscribed(id, "metrics", seq=5),
    "unsubscribed": lambda id: protocol.unsubscribed(id, "metrics"),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_it_names_the_command_that_it_answers(answer):
    assert json.loads(answer("c-1"))["id"] == "c-1"
    assert "id" not in json.loads(answer(None))


def test_it_says_when_to_try_again_only_where_that_is_known():
    limited = Refused(ErrorCode.RATE_LIMITED, Reason.TOO_MANY_COMMANDS, retry_after_ms=20)
    assert json.loads(protocol.error(limited, "Wait."))["retry_after_ms"] == 20
    missing = Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_ROOM)
    assert "retry_after_ms" not in json.loads(protocol.error(missing, "There is none."))


def test_it_puts_an_events_place_at_the_end():
    assert protocol.stamp(b'{"type":"chat"}', "user.1", 7) == b'{"type":"chat","stream":"user.1","seq":7}'


def test_it_leaves_out_of_a_message_what_it_does_not_have():
    data = protocol.ChatData(1, "alice", "Hello!", "then", 7, "text", room_id="general")
    assert set(json.loads(protocol.encode(data))) == {
        *("from_user_id", "from_username", "message", "timestamp", "message_id", "kind", "room_id")
    }


def test_it_writes_times_in_utc_with_microseconds():
    moment = datetime(2025, 10, 22, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    assert protocol.format_time(moment) == "2025-10-22T10:00:00.000005Z"
    assert protocol.format_epoch(datetime(2025, 10, 22, 10, tzinfo=UTC).timestamp()) == "2025-10-22T10:00:00.000000Z"
    assert protocol.format_epoch(None) is None


def test_it_refuses_what_json_does_not_have():
    with pytest.raises(TypeError):
        protocol.encode({"type": "odd", "data": object()})
