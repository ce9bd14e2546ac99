"""REST: the history of rooms and of direct messages. Routed by `realtime.urls`."""

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from realtime.api.base import RealtimeView
from realtime.api.schema import documented, validated
from realtime.api.serializers import CursorQuery, DirectQuery
from realtime.chat import history


class RoomMessagesView(RealtimeView):
    @documented("messages_of_room", {200: history.HistoryPage}, query=CursorQuery, refusals=(400, 404))
    def get(self, request: Request, room_id: str) -> Response:
        """Read the messages of a room, newest first.

        `before` and `after` limit the range. With `after` alone, the page has the messages that directly follow it, and
        `next_after` leads to newer ones. Otherwise it has the newest messages of the range, and `next_before` leads to
        older ones.
        """
        cursors = history.Cursors(**validated(CursorQuery, request.query_params))
        return _answer(history.list_room(request.user.pk, room_id, cursors))


class DirectMessagesView(RealtimeView):
    @documented("messages_direct", {200: history.HistoryPage}, query=DirectQuery, refusals=(400, 404))
    def get(self, request: Request) -> Response:
        """Read your direct messages, with one other user or with everybody, newest first.

        The pages work as those of a room do; each `seq` is the one in your own stream, `user.<id>`. If a socket cannot
        replay that stream, `resumed` has this address without `with` as `fetch`. It leads to the chat messages of the
        stream, but not to its notifications and other events.
        """
        given = validated(DirectQuery, request.query_params)
        me, with_id = request.user.pk, given.pop("with", None)
        cursors = history.Cursors(**given)
        if with_id is None:
            return _answer(history.list_all_direct(me, cursors))
        return _answer(history.list_direct(me, with_id, cursors))


def _answer(page: history.HistoryPage) -> Response:
    return Response(msgspec.to_builtins(page))
