"""Examples of frames and commands, for the description of the sockets. Every one is valid, which a test checks."""

from collections.abc import Mapping, Sequence
from typing import Any

Examples = Mapping[str, Sequence[Mapping[str, Any]]]

NOW = "2025-10-22T10:00:00.123456Z"
LATER = "2025-10-22T10:30:00.000000Z"

# By the `type` of the command.
COMMANDS: Examples = {
    "ping": [{"type": "ping", "timestamp": 1761127200}],
    "pong": [{"type": "pong"}],
    "auth": [{"type": "auth", "token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl", "id": "c-1"}],
    "typing": [{"type": "typing", "data": {"is_typing": True, "context": "general"}}],
    "presence": [{"type": "presence", "status": "away", "data": {"device": "mobile"}}],
    "message": [
        {"type": "message", "room_id": "general", "message": "Hello!", "id": "c-1"},
        {"type": "message", "to_user_id": 456, "message": "Hello!", "id": "c-2"},
    ],
    "join": [
        {"type": "join", "room_id": "general", "id": "c-1"},
        {"type": "join", "room_id": "general", "since": 85, "id": "c-2"},
    ],
    "leave": [{"type": "leave", "room_id": "general", "id": "c-1"}],
    "read": [{"type": "read", "room_id": "general", "seq": 91}, {"type": "read", "notification_ids": [7, 8]}],
    "subscribe": [{"type": "subscribe", "topic": "metrics", "id": "c-1"}],
    "unsubscribe": [{"type": "unsubscribe", "topic": "metrics", "id": "c-1"}],
    "resume": [{"type": "resume", "streams": {"user.123": 15, "room.general": 88}, "id": "r"}],
    "batch": [
        {"type": "batch", "messages": [{"type": "join", "room_id": "general", "id": "c-1"}, {"type": "ping"}]},
    ],
}

CHAT = {
    "from_user_id": 456,
    "from_username": "bob",
    "message": "Hello!",
    "timestamp": NOW,
    "message_id": 991,
    "kind": "text",
}

# By the `type` of the frame.
FRAMES: Examples = {
    "connected": [
        {
            "type": "connected",
            "data": {
                "message": "Welcome, alice!",
                "user_id": 123,
                "online_count": 42,
                "connection_id": "yEyLLHz2vJiwpAJs",
                "session_id": "qUjEwjypK_6SC-MvtX7W9raP1fzPwCJ3",
                "expires_at": LATER,
                "heartbeat_seconds": 30,
                "max_frame_bytes": 65536,
                "typing_seconds": 10,
                "streams": {"user.123": 17, "site": 4},
                "protocol": 1,
            },
        }
    ],
    "heartbeat": [{"type": "heartbeat", "timestamp": NOW}],
    "auth_expiring": [{"type": "auth_expiring", "data": {"expires_at": LATER, "seconds": 60}}],
    "disconnect": [
        {"type": "disconnect", "code": 4401, "reason": "TOKEN_EXPIRED", "reconnect": False, "retry_after_ms": 0},
        {"type": "disconnect", "code": 1012, "reason": "RESTARTING", "reconnect": True, "retry_after_ms": 1830},
    ],
    "batch": [
        {
            "type": "batch",
            "messages": [
                {"type": "online_count", "data": {"online_count": 42}},
                {"type": "heartbeat", "timestamp": NOW},
            ],
        }
    ],
    "pong": [{"type": "pong", "timestamp": 1761127200}],
    "ack": [
        {"type": "ack", "status": "ok", "message_id": 991, "seq": 92, "timestamp": NOW, "id": "c-1"},
        {"type": "ack", "status": "ok", "expires_at": LATER, "timestamp": NOW, "id": "c-1"},
    ],
    "error": [
        {
            "type": "error",
            "error_code": "NOT_FOUND",
            "message": "There is no such room.",
            "timestamp": NOW,
            "id": "c-1",
        },
        {
            "type": "error",
            "error_code": "RATE_LIMITED",
            "message": "Too many commands.",
            "retry_after_ms": 20,
            "timestamp": NOW,
        },
    ],
    "joined": [
        {"type": "joined", "room_id": "general", "title": "General", "role": "member", "seq": 88, "id": "c-1"},
        {
            "type": "joined",
            "room_id": "general",
            "title": "General",
            "role": "owner",
            "recovered": False,
            "seq": 4711,
            "fetch": "/api/v1/rooms/general/messages?after=85",
            "id": "c-2",
        },
    ],
    "left": [
        {"type": "left", "room_id": "general", "id": "c-1"},
        {"type": "left", "room_id": "general", "reason": "REMOVED"},
    ],
    "room_updated": [{"type": "room_updated", "room_id": "general", "title": "Tea room", "private": False}],
    "subscribed": [{"type": "subscribed", "topic": "metrics", "seq": 0, "id": "c-1"}],
    "unsubscribed": [
        {"type": "unsubscribed", "topic": "metrics", "id": "c-1"},
        {"type": "unsubscribed", "topic": "metrics", "reason": "REMOVED"},
    ],
    "resumed": [
        {
            "type": "resumed",
            "streams": {
                "user.123": {"recovered": True, "seq": 19},
                "room.general": {
                    "recovered": False,
                    "seq": 4711,
                    "fetch": "/api/v1/rooms/general/messages?after=88",
                },
            },
            "id": "r",
        }
    ],
    "chat": [
        {
            "type": "chat",
            "data": {**CHAT, "room_id": "general", "client_id": "c-1"},
            "timestamp": NOW,
            "stream": "room.general",
            "seq": 92,
        },
        {"type": "chat", "data": {**CHAT, "to_user_id": 123}, "timestamp": NOW, "stream": "user.123", "seq": 18},
    ],
    "topic": [{"type": "topic", "topic": "metrics", "data": {"load": 0.5}, "timestamp": NOW}],
    "typing": [{"type": "typing", "data": {"user_id": 456, "is_typing": True, "context": "general"}}],
    "presence": [{"type": "presence", "data": {"user_id": 456, "status": "away", "data": {"device": "mobile"}}}],
    "user_status": [{"type": "user_status", "data": {"user_id": 456, "status": "online", "timestamp": NOW}}],
    "online_count": [{"type": "online_count", "data": {"online_count": 42}}],
    "read": [
        {"type": "read", "data": {"room_id": "general", "seq": 91, "unread": 3}},
        {"type": "read", "data": {"notification_ids": [7, 8]}},
    ],
}

# By the name of the type: what sockets for one purpose accept and send.
WRITTEN = {
    "content": "Hello!",
    "timestamp": NOW,
    "room_id": "general",
    "message_id": 7,
    "sender": "bob",
    "seq": 1337,
}
ON_ONE_PURPOSE: Examples = {
    "RoomInput": [{"content": "Hello!", "id": "c-1"}, {"content": "/media/cat.png", "kind": "image"}],
    "RoomKindInput": [{"type": "text", "content": "Hello!", "id": "c-1"}],
    "RoomMessage": [{"type": "message", **WRITTEN}],
    "RoomChat": [{"type": "chat", **WRITTEN}],
    "RoomKind": [{"type": "image", "sender_id": 456, **WRITTEN, "content": "/media/cat.png"}],
    "Accepted": [{"status": "ok", "message_id": 7, "id": "c-1"}, {"status": "saved", "message_id": 8}],
}
