"""Frames: what is in them, what is left out, and times as the protocol writes them."""

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.frames import encode, format_epoch, format_time, make_error, stamp


def test_it_names_the_command_that_it_answers():
    refusal = Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_ROOM)
    assert json.loads(encode(make_error(refusal, "There is none.", "c-1")))["id"] == "c-1"
    assert "id" not in json.loads(encode(make_error(refusal, "There is none.")))


def test_it_says_when_to_try_again_only_where_that_is_known():
    limited = Refused(ErrorCode.RATE_LIMITED, Reason.TOO_MANY_COMMANDS, retry_after_ms=20)
    assert json.loads(encode(make_error(limited, "Wait.")))["retry_after_ms"] == 20
    missing = Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_ROOM)
    assert "retry_after_ms" not in json.loads(encode(make_error(missing, "There is none.")))


def test_it_puts_an_events_place_at_the_end():
    assert stamp(b'{"type":"chat"}', "user.1", 7) == b'{"type":"chat","stream":"user.1","seq":7}'


def test_it_writes_times_in_utc_with_microseconds():
    moment = datetime(2025, 10, 22, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(moment) == "2025-10-22T10:00:00.000005Z"
    assert format_epoch(datetime(2025, 10, 22, 10, tzinfo=UTC).timestamp()) == "2025-10-22T10:00:00.000000Z"
    assert format_epoch(None) is None


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/Los_Angeles"])
@pytest.mark.parametrize("moment", [datetime(1, 1, 2), datetime(2025, 10, 26, 2, 30), datetime(9999, 12, 31)])
def test_it_writes_naive_times_of_the_whole_calendar(monkeypatch, zone, moment):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        local = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None, microsecond=7)
        assert format_time(local) == f"{moment.isoformat()}.000007Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_it_refuses_what_json_does_not_have():
    with pytest.raises(TypeError):
        encode({"type": "odd", "data": object()})
