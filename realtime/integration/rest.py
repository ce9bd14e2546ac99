"""What other apps may import to add views of their own to the REST API: they log people in, answer and fail as ours do.

Apart from `realtime.integration`, because it loads Django REST framework, which a process without views does not need.
"""

from realtime.api.base import RealtimeView
from realtime.api.lists import ListView, Queues, TurnView
from realtime.api.schema import documented, shown_as, validated
from realtime.api.serializers import MAX_SEQ, MomentField, PageQuery, Shape, UserIdField
from realtime.api.throttles import ChangeThrottle, MinuteThrottle

__all__ = [
    "MAX_SEQ",
    "ChangeThrottle",
    "ListView",
    "MinuteThrottle",
    "MomentField",
    "PageQuery",
    "Queues",
    "RealtimeView",
    "Shape",
    "TurnView",
    "UserIdField",
    "documented",
    "shown_as",
    "validated",
]
