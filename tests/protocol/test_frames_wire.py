"""What is on the wire, word by word: the samples of docs/protocol.md, and the bytes of every frame.

The other tests decode with the server's own types, which cannot notice a type that is wrong; this file is what does.
"""

import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from notifications.frames import (
    ActionLabel,
    AnnouncementBody,
    AnnouncementData,
    AnnouncementStateData,
    AnnouncementStateFrame,
    AnnouncementWords,
    Group,
    Item,
    NotificationBody,
    NotificationEvent,
    Person,
    Target,
)
from realtime.protocol.errors import CloseCode, ErrorCode
from realtime.protocol.frames import (
    Ack,
    AnyFrame,
    AuthExpiring,
    ChatBody,
    ChatData,
    Connected,
    ConnectedData,
    Disconnect,
    ErrorFrame,
    ExpiringData,
    Heartbeat,
    Joined,
    Left,
    OnlineCount,
    OnlineCountData,
    Pong,
    Presence,
    PresenceData,
    Read,
    ReadData,
    Resumed,
    RoomUpdated,
    StatusData,
    StreamOutcome,
    Subscribed,
    TopicValue,
    Typing,
    TypingData,
    Unsubscribed,
    UserStatus,
    encode,
    stamp,
)
from realtime.protocol.translations import Accepted, RoomChat, RoomKind, RoomMessage
from tests.contract.conversation import check_keys

DOCUMENT = (Path(__file__).resolve().parent.parent.parent / "docs" / "protocol.md").read_text()
NOW = "2025-10-22T10:00:00.123456Z"
COMMANDS = {"auth", "resume"}  # that the page shows in its text
FRAMES = AnyFrame | NotificationEvent

# What the page leaves out of a sample, by what stands there.
ELLIPSES = {
    '"messages":[…]': '"messages":[{"type":"heartbeat","timestamp":"…"}]',
    '"data":…': '"data":{"load":0.5}',
    '"content":"…"': '"content":"Hello!"',
    '"timestamp":T': '"timestamp":1',
    '"…"': f'"{NOW}"',
}


def read_objects(text):
    """The JSON objects that stand one after the other in a block."""
    decoder, place, found = json.JSONDecoder(), 0, []
    while place < len(text.rstrip()):
        value, place = decoder.raw_decode(text, place)
        place += len(text[place:]) - len(text[place:].lstrip())
        found.append(value)
    return found


def find_samples():
    """Every frame that the page shows: in blocks, and between backticks where it is not a command."""
    text = re.sub(r"^\| `\{[^`]*`", "|", DOCUMENT, flags=re.MULTILINE)  # the commands of the table
    for left_out, said in ELLIPSES.items():
        text = text.replace(left_out, said)
    blocks = re.findall(r"```json\n(.*?)```", text, flags=re.DOTALL)
    spans = re.findall(r'`(\{"(?:type"|status":"ok").*?\})`', text)
    found = [sample for block in blocks for sample in read_objects(block)]
    return found + [json.loads(span) for span in spans if "…" not in span]


SAMPLES = [
    sample for sample in find_samples() if sample.get("type") not in COMMANDS and sample.keys() != {"type", "content"}
]


def type_of(sample):
    """The type that describes a sample."""
    if "type" not in sample:
        return Accepted
    if "content" in sample:
        return {"message": RoomMessage, "chat": RoomChat}.get(sample["type"], RoomKind)
    return FRAMES


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.get("type", "accepted"))
def test_it_has_the_keys_of_the_page(sample):
    frame = msgspec.json.decode(json.dumps(sample), type=type_of(sample))
    assert json.loads(encode(frame)) == sample


def test_it_is_on_the_page():
    shown = {type_of(sample) for sample in SAMPLES}
    assert shown == {FRAMES, Accepted, RoomMessage, RoomChat, RoomKind}
    tags = {frame.__struct_config__.tag for frame in get_args(FRAMES)}
    assert tags - {sample.get("type") for sample in SAMPLES} == {"typing"}  # shown as the command that it repeats


CHAT = ChatData(
    from_user_id=456,
    from_username="bob",
    message="Hello!",
    timestamp=NOW,
    message_id=991,
    kind="text",
    room_id="general",
    client_id="c-1",
)
NOTE = Item(
    id=789,
    type="new_follower",
    title="New follower",
    message="Bob followed you",
    data={"follower_id": 456},
    link="/users/456",
    created_at=NOW,
    category="social",
    level="info",
    reason="follows",
    actor=Person(456, "Bob"),
    target=Target("shop.order", "17"),
    group=Group(5, [Person(456, "Bob")]),
    actions=[ActionLabel("thank", "Thank", "")],
    action="",
    arrived_at=NOW,
    seen_at=NOW,
    read_at=None,
    archived_at=None,
    snoozed_until=None,
    expires_at=None,
)
SAID = AnnouncementData(
    id=7,
    level="warning",
    link="/status",
    closing="dismiss",
    live_at=NOW,
    ends_at=None,
    texts=[AnnouncementWords("en", "Maintenance", "At three.")],
    fallback="en",
    test=False,
)
GREETING = ConnectedData(
    message="Welcome, alice!",
    user_id=123,
    online_count=42,
    connection_id="x",
    session_id="y",
    expires_at=None,
    heartbeat_seconds=30,
    max_frame_bytes=65536,
    typing_seconds=10,
    streams={"user.123": 17, "site": 4},
    protocol=1,
)
WIRE = [
    (
        Connected(GREETING),
        '{"type":"connected","data":{"message":"Welcome, alice!","user_id":123,"online_count":42,"connection_id":"x",'
        '"session_id":"y","expires_at":null,"heartbeat_seconds":30,"max_frame_bytes":65536,"typing_seconds":10,'
        '"streams":{"user.123":17,"site":4},"protocol":1}}',
    ),
    (Heartbeat(NOW), '{"type":"heartbeat","timestamp":"NOW"}'),
    (AuthExpiring(ExpiringData(NOW, 60)), '{"type":"auth_expiring","data":{"expires_at":"NOW","seconds":60}}'),
    (
        Disconnect(CloseCode.UNAUTHENTICATED, "TOKEN_EXPIRED", False, 0),
        '{"type":"disconnect","code":4401,"reason":"TOKEN_EXPIRED","reconnect":false,"retry_after_ms":0}',
    ),
    (Pong(1), '{"type":"pong","timestamp":1}'),
    (Pong(None, "c-1"), '{"type":"pong","timestamp":null,"id":"c-1"}'),
    (Ack(status="ok", timestamp=NOW, id="c-1"), '{"type":"ack","status":"ok","timestamp":"NOW","id":"c-1"}'),
    (
        Ack(status="ok", message_id=991, seq=92, timestamp=NOW, id="c-1"),
        '{"type":"ack","status":"ok","message_id":991,"seq":92,"timestamp":"NOW","id":"c-1"}',
    ),
    (
        Ack(status="ok", expires_at=None, timestamp=NOW),
        '{"type":"ack","status":"ok","expires_at":null,"timestamp":"NOW"}',
    ),
    (
        ErrorFrame(error_code=ErrorCode.INVALID_JSON, message="No.", timestamp=NOW),
        '{"type":"error","error_code":"INVALID_JSON","message":"No.","timestamp":"NOW"}',
    ),
    (
        ErrorFrame(error_code=ErrorCode.MESSAGE_PROCESSING_ERROR, message="No.", reference="f00", timestamp=NOW),
        '{"type":"error","error_code":"MESSAGE_PROCESSING_ERROR","message":"No.","reference":"f00","timestamp":"NOW"}',
    ),
    (
        ErrorFrame(error_code=ErrorCode.RATE_LIMITED, message="No.", retry_after_ms=20, timestamp=NOW, id="c-1"),
        '{"type":"error","error_code":"RATE_LIMITED","message":"No.","retry_after_ms":20,"timestamp":"NOW","id":"c-1"}',
    ),
    (
        ErrorFrame(error_code=ErrorCode.NOT_FOUND, message="No.", stream="room.x", timestamp=NOW, id="r"),
        '{"type":"error","error_code":"NOT_FOUND","message":"No.","stream":"room.x","timestamp":"NOW","id":"r"}',
    ),
    (
        Joined(room_id="general", title="General", role="member", seq=88),
        '{"type":"joined","room_id":"general","title":"General","role":"member","seq":88}',
    ),
    (
        Joined(room_id="general", title="General", role="owner", recovered=False, seq=88, fetch="/api/v1/x", id="j"),
        '{"type":"joined","room_id":"general","title":"General","role":"owner","recovered":false,"seq":88,'
        '"fetch":"/api/v1/x","id":"j"}',
    ),
    (Left("general", id="l"), '{"type":"left","room_id":"general","id":"l"}'),
    (Left("general", "REMOVED"), '{"type":"left","room_id":"general","reason":"REMOVED"}'),
    (
        RoomUpdated("general", "Tea room", True),
        '{"type":"room_updated","room_id":"general","title":"Tea room","private":true}',
    ),
    (Subscribed(topic="metrics", seq=0), '{"type":"subscribed","topic":"metrics","seq":0}'),
    (
        Subscribed(topic="metrics", recovered=True, seq=7, id="s"),
        '{"type":"subscribed","topic":"metrics","recovered":true,"seq":7,"id":"s"}',
    ),
    (Unsubscribed("metrics", id="u"), '{"type":"unsubscribed","topic":"metrics","id":"u"}'),
    (Unsubscribed("metrics", "REMOVED"), '{"type":"unsubscribed","topic":"metrics","reason":"REMOVED"}'),
    (
        Resumed({"user.123": StreamOutcome(True, 19), "room.x": StreamOutcome(False, 4711, "/api/v1/x")}, "r"),
        '{"type":"resumed","streams":{"user.123":{"recovered":true,"seq":19},'
        '"room.x":{"recovered":false,"seq":4711,"fetch":"/api/v1/x"}},"id":"r"}',
    ),
    (
        ChatBody(CHAT, NOW),
        '{"type":"chat","data":{"from_user_id":456,"from_username":"bob","message":"Hello!","timestamp":"NOW",'
        '"message_id":991,"kind":"text","room_id":"general","client_id":"c-1"},"timestamp":"NOW"}',
    ),
    (
        NotificationBody("new_follower", NOTE, NOW),
        '{"type":"notification","notification_type":"new_follower","data":{"id":789,"type":"new_follower",'
        '"title":"New follower","message":"Bob followed you","data":{"follower_id":456},"link":"/users/456",'
        '"created_at":"NOW","category":"social","level":"info","reason":"follows",'
        '"actor":{"user_id":456,"name":"Bob"},"target":{"model":"shop.order","key":"17"},'
        '"group":{"count":5,"last":[{"user_id":456,"name":"Bob"}]},'
        '"actions":[{"key":"thank","label":"Thank","link":""}],"action":"","arrived_at":"NOW","seen_at":"NOW",'
        '"read_at":null,"archived_at":null,"snoozed_until":null,"expires_at":null},"timestamp":"NOW"}',
    ),
    (
        AnnouncementBody(SAID, NOW),
        '{"type":"announcement","data":{"id":7,"level":"warning","link":"/status","closing":"dismiss","live_at":"NOW",'
        '"ends_at":null,"texts":[{"language":"en","title":"Maintenance","message":"At three."}],"fallback":"en",'
        '"test":false},"timestamp":"NOW"}',
    ),
    (
        AnnouncementStateFrame(AnnouncementStateData(7, NOW, None, NOW, None)),
        '{"type":"announcement_state","data":{"announcement_id":7,"seen_at":"NOW","read_at":null,"dismissed_at":"NOW",'
        '"confirmed_at":null}}',
    ),
    (TopicValue("metrics", [1], NOW), '{"type":"topic","topic":"metrics","data":[1],"timestamp":"NOW"}'),
    (
        Typing(TypingData(456, True, "post_123")),
        '{"type":"typing","data":{"user_id":456,"is_typing":true,"context":"post_123"}}',
    ),
    (
        Presence(PresenceData(456, "away", {"device": "mobile"})),
        '{"type":"presence","data":{"user_id":456,"status":"away","data":{"device":"mobile"}}}',
    ),
    (
        UserStatus(StatusData(456, "online", NOW)),
        '{"type":"user_status","data":{"user_id":456,"status":"online","timestamp":"NOW"}}',
    ),
    (OnlineCount(OnlineCountData(42)), '{"type":"online_count","data":{"online_count":42}}'),
    (
        Read(ReadData(room_id="general", seq=91, unread=3)),
        '{"type":"read","data":{"room_id":"general","seq":91,"unread":3}}',
    ),
    (Read(ReadData(notification_ids=[7, 8])), '{"type":"read","data":{"notification_ids":[7,8]}}'),
    (Accepted("ok", 7), '{"status":"ok","message_id":7}'),
    (Accepted("ok", 7, "c-1"), '{"status":"ok","message_id":7,"id":"c-1"}'),
    (
        RoomMessage("Hello!", NOW, "general", 7, "bob", 1337, "image"),
        '{"type":"message","content":"Hello!","timestamp":"NOW","room_id":"general","message_id":7,"sender":"bob",'
        '"seq":1337,"kind":"image"}',
    ),
    (
        RoomKind("image", "a.png", 456, NOW, "general", 7, "bob", 1337),
        '{"type":"image","content":"a.png","sender_id":456,"timestamp":"NOW","room_id":"general","message_id":7,'
        '"sender":"bob","seq":1337}',
    ),
    (
        RoomChat("general", "Hello!", "bob", NOW, 7, 1337),
        '{"type":"chat","room_id":"general","content":"Hello!","sender":"bob","timestamp":"NOW","message_id":7,'
        '"seq":1337}',
    ),
]


@pytest.mark.parametrize(("frame", "text"), WIRE, ids=lambda value: type(value).__name__)
def test_it_is_written_like_this(frame, text):
    assert encode(frame).decode() == text.replace("NOW", NOW)


# The frames of the guide that the first clients were written by: keys may be added to them, none may go or move.
GUIDE = [
    '{"type":"connected","data":{"message":"Welcome, alice!","user_id":123,"online_count":42}}',
    '{"type":"pong","timestamp":1}',
    '{"type":"typing","data":{"user_id":456,"is_typing":true,"context":"post_123"}}',
    '{"type":"presence","data":{"user_id":456,"status":"away","data":{"device":"mobile"}}}',
    '{"type":"chat","data":{"from_user_id":456,"from_username":"bob","message":"Hello!","timestamp":"NOW"},'
    '"timestamp":"NOW"}',
    '{"type":"notification","notification_type":"new_follower","data":{"id":789,"type":"new_follower",'
    '"title":"New follower","message":"Bob followed you","data":{"follower_id":456}},"timestamp":"NOW"}',
    '{"type":"user_status","data":{"user_id":456,"status":"online","timestamp":"NOW"}}',
    '{"type":"error","error_code":"INVALID_JSON","message":"No.","timestamp":"NOW"}',
]


def is_within(part, whole):
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and is_within(part[key], whole[key]) for key in part)
    return part == whole


@pytest.mark.parametrize("text", GUIDE)
def test_it_keeps_what_the_guide_promised(text):
    promised = json.loads(text.replace("NOW", NOW))
    made = [json.loads(encode(frame)) for frame, _text in WIRE]
    assert any(is_within(promised, frame) for frame in made)


@pytest.mark.parametrize(("frame", "text"), WIRE, ids=lambda value: type(value).__name__)
def test_it_decodes_what_it_writes(frame, text):
    """With its place, where it is a body: so the constraints let through what is really sent."""
    is_body = isinstance(frame, ChatBody | NotificationBody | AnnouncementBody)
    wire = stamp(encode(frame), "user.123", 19) if is_body else encode(frame)
    decoded = msgspec.json.decode(wire, type=type(frame) if isinstance(frame, Accepted) else type_of(json.loads(wire)))
    assert json.loads(encode(decoded)) == json.loads(wire)


def test_it_refuses_what_is_never_sent():
    for wrong in (
        '{"type":"heartbeat","timestamp":"2025-10-22T10:00:00Z"}',
        '{"type":"heartbeat"}',
        '{"type":"left","room_id":"General"}',
        '{"type":"left","room_id":"general","id":null}',
        '{"type":"subscribed","topic":"metrics","seq":-1}',
        '{"type":"read","data":{"notification_ids":[]}}',
        '{"type":"batch","messages":[]}',
        '{"type":"error","error_code":"ODD","message":"No.","timestamp":"NOW"}',
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(wrong.replace("NOW", NOW), type=FRAMES)


def test_the_contract_notices_keys_that_are_new():
    text = f'{{"type":"heartbeat","timestamp":"{NOW}","odd":1}}'
    with pytest.raises(AssertionError, match="odd"):
        check_keys(msgspec.json.decode(text, type=FRAMES), text)
