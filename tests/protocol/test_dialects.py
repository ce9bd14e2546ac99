"""Dialects: texts as commands, frames in other shapes, and each shared frame worded once."""

import json

import pytest

from realtime.delivery.fanout import write_all
from realtime.protocol import commands
from realtime.protocol.commands import Auth, Invalid, Message, Ping, Resume
from realtime.protocol.dialects import NOTIFICATIONS, speak_content, speak_kinds, speak_text
from realtime.protocol.errors import ErrorCode
from realtime.protocol.frames import (
    Ack,
    AuthExpiring,
    ChatBody,
    ChatData,
    ExpiringData,
    Heartbeat,
    Left,
    OnlineCount,
    OnlineCountData,
    Pong,
    Presence,
    PresenceData,
    Read,
    ReadData,
    Resumed,
    StatusData,
    Typing,
    TypingData,
    UserStatus,
    encode,
    given,
    stamp,
)
from realtime.protocol.outgoing import Frame, translate_all
from tests.paper import open_connection

COUNT = encode(OnlineCount(OnlineCountData(1)))
TEXT, CONTENT = speak_text("general"), speak_content("general")


def chat(seq=1, **fields):
    values = {"from_user_id": 1, "from_username": "alice", "message": "Hello!", "timestamp": "then", "message_id": 7}
    data = ChatData(**{**values, "kind": "text", "room_id": "general", **fields})
    return stamp(encode(ChatBody(data, "then")), "room.general", seq)


def ack(id, **fields):
    return encode(Ack(status="ok", timestamp="then", id=given(id), **fields))


def translated(dialect, payload):
    words = dialect.translate(payload)
    return None if words is None else json.loads(words)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Hello!", "Hello!"),
        ("  spaces  ", "  spaces  "),
        ("42", "42"),
        ("true", "true"),
        ('"quoted"', '"quoted"'),
        ('[{"content":"x"}]', '[{"content":"x"}]'),
        ("{this}", "{this}"),
        ('{"content":"x"', '{"content":"x"'),
        ('{"content":"x"}', "x"),
        (' \n{"content":"x","sender":"mallory","type":null}', "x"),
        ('{"type":"message","content":"x"}', "x"),
        ('{"type":"typing","content":"x"}', "x"),
    ],
)
def test_it_takes_text_for_what_is_said(text, message):
    assert TEXT.parse(text) == Message(message=message, room_id="general")


def test_it_takes_the_kind_and_the_id():
    wanted = Message(id="c-1", message="x", room_id="general", kind="image")
    for dialect in (TEXT, CONTENT):
        assert dialect.parse('{"content":"x","kind":"image","id":"c-1","room_id":"another"}') == wanted


@pytest.mark.parametrize("dialect", [TEXT, CONTENT, NOTIFICATIONS])
def test_it_leaves_the_commands_of_every_socket(dialect):
    assert dialect.parse('{"type":"ping","id":"p","content":"x"}') == Ping(id="p")
    assert dialect.parse('{"type":"pong"}') == commands.Pong()
    assert dialect.parse('{"type":"auth","token":"t"}') == Auth(token="t")
    with pytest.raises(Invalid, match="token"):
        dialect.parse('{"type":"auth"}')


@pytest.mark.parametrize(
    ("text", "code", "id"),
    [
        ('{"id":"c-1"}', ErrorCode.INVALID_MESSAGE, "c-1"),
        ('{"id":"c-1","content":""}', ErrorCode.INVALID_MESSAGE, "c-1"),
        ('{"id":"c-1","content":null}', ErrorCode.INVALID_MESSAGE, "c-1"),
        ('{"id":"c-1","content":"x","kind":"video"}', ErrorCode.INVALID_MESSAGE, "c-1"),
        ('{"id":7,"content":"x"}', ErrorCode.INVALID_MESSAGE, None),
        ('{"id":"c-1","type":"join"}', ErrorCode.UNKNOWN_MESSAGE_TYPE, "c-1"),
        ('{"id":"c-1","type":7}', ErrorCode.INVALID_MESSAGE, "c-1"),
    ],
)
def test_it_refuses_objects_that_say_nothing(text, code, id):
    for dialect in (TEXT, CONTENT):
        with pytest.raises(Invalid) as refusal:
            dialect.parse(text)
        assert (refusal.value.code, refusal.value.id) == (code, id)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Hello!", ErrorCode.INVALID_JSON),
        ("", ErrorCode.INVALID_JSON),
        ("42", ErrorCode.INVALID_MESSAGE),
        ('{"content":' * 2000, ErrorCode.INVALID_JSON),
    ],
)
def test_it_wants_objects_where_text_is_not_taken(text, code):
    with pytest.raises(Invalid) as refusal:
        CONTENT.parse(text)
    assert refusal.value.code == code


def test_it_refuses_to_say_nothing():
    with pytest.raises(Invalid) as refusal:
        TEXT.parse("")
    assert refusal.value.code == ErrorCode.INVALID_MESSAGE


def test_it_reads_what_is_about_notifications():
    assert NOTIFICATIONS.parse('{"type":"read","notification_ids":[7]}') == commands.Read(notification_ids=[7])
    assert NOTIFICATIONS.parse('{"type":"resume","streams":{"user.1":5}}') == Resume(streams={"user.1": 5})
    for text in ('{"type":"leave","id":"l","room_id":"general"}', '{"type":"batch","id":"l","messages":[]}'):
        with pytest.raises(Invalid) as refusal:
            NOTIFICATIONS.parse(text)
        assert (refusal.value.code, refusal.value.id) == (ErrorCode.UNKNOWN_MESSAGE_TYPE, "l")


def test_it_translates_a_message():
    same = {"room_id": "general", "content": "Hello!", "timestamp": "then", "message_id": 7, "sender": "alice"}
    assert translated(TEXT, chat(5)) == {"type": "message", **same, "seq": 5}
    assert translated(CONTENT, chat(5)) == {"type": "chat", **same, "seq": 5}
    assert translated(TEXT, chat(5, kind="image", client_id="c-1"))["kind"] == "image"
    assert translated(NOTIFICATIONS, chat(5)) is None


def test_it_confirms_to_the_sender_that_a_message_is_stored():
    plain, named = ack(None, message_id=7, seq=5), ack("c-1", message_id=7, seq=5)
    assert translated(TEXT, plain) == {"status": "ok", "message_id": 7}
    assert translated(TEXT, named) == {"status": "ok", "message_id": 7, "id": "c-1"}
    assert (CONTENT.translate(plain), CONTENT.translate(named)) == (None, named)
    for dialect in (TEXT, CONTENT, NOTIFICATIONS):
        other = ack("c-1", expires_at=None)
        assert dialect.translate(other) is other


def test_it_leaves_the_frames_of_every_socket():
    frames = [Heartbeat("then"), AuthExpiring(ExpiringData("then", 1)), Pong(1)]
    for payload in (*map(encode, frames), b'{"type":"connected","data":{}}'):
        for dialect in (TEXT, CONTENT, NOTIFICATIONS):
            assert dialect.translate(payload) is payload


@pytest.mark.parametrize("own", [b'{"type":"read","data":"page 3"}', b'{"type":"ack","message_id":"m-1"}'])
def test_it_bears_words_of_the_protocol_that_a_site_uses_for_itself(own):
    """One such frame was an exception in the middle of a fan-out: neither others nor other processes got it."""
    assert NOTIFICATIONS.translate(own) is own
    for dialect in (TEXT, CONTENT):
        assert dialect.translate(own) in (None, own)


def test_it_leaves_out_what_is_for_others():
    typing, presence = Typing(TypingData(1, True, "x")), Presence(PresenceData(1, "busy", {}))
    status, left = UserStatus(StatusData(1, "online", "then")), Left("general", "REMOVED")
    for payload in (COUNT, *map(encode, (typing, presence, status, left))):
        assert [dialect.translate(payload) for dialect in (TEXT, CONTENT, NOTIFICATIONS)] == [None] * 3
    for own in (b'{"type":"order_status_changed","id":{},"seq":"x"}', b'{"type":"notification","data":{"type":5}}'):
        assert [dialect.translate(own) for dialect in (TEXT, CONTENT, NOTIFICATIONS)] == [None, None, own]


def test_it_sends_on_notifications_that_were_read():
    read = encode(Read(ReadData(notification_ids=[7])))
    assert NOTIFICATIONS.translate(read) is read
    assert NOTIFICATIONS.translate(encode(Read(ReadData(room_id="general", seq=5, unread=0)))) is None


def test_it_survives_a_chat_frame_of_the_sites_own_making():
    assert TEXT.translate(b'{"type":"chat","data":5}') is None


def test_it_words_a_frame_once_for_all_rooms():
    frame = Frame(chat(5), seq=5, exclude="3", droppable=True)
    first, again = speak_text("a"), speak_text("b")
    assert frame.translate(first.translate) is frame.translate(again.translate)
    assert frame.translate(first.translate) is not frame.translate(CONTENT.translate)
    words = frame.translate(first.translate)
    assert (words.seq, words.exclude, words.droppable) == (5, "3", True)
    assert words.wire != frame.wire
    assert translate_all([frame, Frame(COUNT)], CONTENT.translate) == [frame.translate(CONTENT.translate)]


async def test_it_writes_to_sockets_of_every_dialect_at_once():
    sockets = {name: [open_connection() for _ in range(3)] for name in ("main", "text", "content")}
    for name, dialect in (("text", TEXT), ("content", CONTENT)):
        for connection, _paper in sockets[name]:
            connection.dialect = dialect
    frames = [Frame(chat(5)), Frame(COUNT), Frame(chat(6))]
    write_all({connection for pairs in sockets.values() for connection, _ in pairs}, frames)
    types = {name: [[f["type"] for f in paper.frames] for _, paper in pairs] for name, pairs in sockets.items()}
    assert types == {
        "main": [["chat", "online_count", "chat"]] * 3,
        "text": [["message", "message"]] * 3,
        "content": [["chat", "chat"]] * 3,
    }
    assert all(len(paper.writes) == 1 for pairs in sockets.values() for _, paper in pairs)


@pytest.mark.parametrize("slow", [False, True])
async def test_it_excludes_a_user_whatever_his_dialect(slow):
    pairs = [open_connection(user) for user in ("1", "2")]
    for connection, _paper in pairs:
        connection.dialect = TEXT
        connection.on_pause(slow)
    write_all({connection for connection, _ in pairs}, [Frame(chat(5), exclude="2"), Frame(COUNT)])
    assert [len(paper.frames) for _, paper in pairs] == [1, 0]
    assert all(paper.writes.count([]) == 0 for _, paper in pairs)


@pytest.mark.parametrize("speak", [speak_text, speak_content, speak_kinds])
def test_a_room_hears_that_its_stream_goes_on_with_a_gap(speak):
    """It was left out, so nobody knew that events were missing."""
    resumed = encode(Resumed({"room.general": {"recovered": False, "seq": 7}}))
    assert speak("general").translate(resumed) == resumed
