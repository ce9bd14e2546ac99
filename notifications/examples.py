"""Examples of the frames, for the description of the sockets. Every one is valid, which a test checks."""

from collections.abc import Mapping, Sequence
from typing import Any

NOW = "2025-10-22T10:00:00.123456Z"

FRAMES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "notification": [
        {
            "type": "notification",
            "notification_type": "new_follower",
            "data": {
                "id": 789,
                "type": "new_follower",
                "title": "New follower",
                "message": "Bob followed you",
                "data": {"follower_id": 456},
                "link": "/users/456",
                "created_at": NOW,
                "category": "social",
                "level": "info",
                "reason": "",
                "actor": {"user_id": 456, "name": "Bob"},
                "target": None,
                "group": None,
                "actions": [],
                "action": "",
                "arrived_at": NOW,
                "seen_at": None,
                "read_at": None,
                "archived_at": None,
                "snoozed_until": None,
                "expires_at": None,
            },
            "timestamp": NOW,
            "stream": "user.123",
            "seq": 19,
        }
    ],
    "inbox": [
        {
            "type": "inbox",
            "data": {"unread": 3, "unseen": 0, "act": "read", "notification_ids": [7, 8]},
            "timestamp": NOW,
            "stream": "user.123",
            "seq": 20,
        }
    ],
    "notification_removed": [
        {
            "type": "notification_removed",
            "data": {"unread": 3, "unseen": 0, "notification_ids": [9]},
            "timestamp": NOW,
            "stream": "user.123",
            "seq": 21,
        }
    ],
    "notifications_waiting": [
        {
            "type": "notifications_waiting",
            "data": {"unread": 12, "unseen": 9, "count": 9, "since": NOW},
            "timestamp": NOW,
            "stream": "user.123",
            "seq": 22,
        }
    ],
    "announcement": [
        {
            "type": "announcement",
            "data": {
                "id": 7,
                "level": "warning",
                "link": "/status",
                "closing": "dismiss",
                "live_at": NOW,
                "ends_at": None,
                "texts": [
                    {"language": "en", "title": "Maintenance", "message": "At three."},
                    {"language": "zh-hans", "title": "维护", "message": "三点。"},
                ],
                "fallback": "en",
                "test": False,
            },
            "timestamp": NOW,
            "stream": "site",
            "seq": 5,
        }
    ],
    "announcement_changed": [
        {
            "type": "announcement_changed",
            "data": {"announcement_id": 7, "within_ms": 10000},
            "stream": "site",
            "seq": 6,
        }
    ],
    "announcement_ended": [
        {"type": "announcement_ended", "data": {"announcement_id": 7}, "stream": "site", "seq": 7},
    ],
    "announcement_state": [
        {
            "type": "announcement_state",
            "data": {
                "announcement_id": 7,
                "seen_at": NOW,
                "read_at": None,
                "dismissed_at": NOW,
                "confirmed_at": None,
            },
        }
    ],
}
