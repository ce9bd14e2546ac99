"""REST: the history of rooms and of direct messages. Routed by `realtime.urls`."""

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from realtime.api.schema import documented, validated
from realtime.api.serializers import CursorQuery, DirectQuery
from realtime.chat import history


class RoomMessagesView(APIView):
    @documented("messages_of_room", {200: history.HistoryPage}, query=CursorQuery, refusals=(400, 404))
    def get(self, request: Request, room_id: str) -> Response:
        """A room's history, newest first.

        `before` and `after` bound the range. With `after` alone the page holds what directly follows it, and
        `next_after` goes on forward; else it holds the newest of the range, and `next_before` goes on backward.
        """
        cursors = history.Cursors(**validated(CursorQuery, request.query_params))
        return _answer(history.list_room(request.user.pk, room_id, cursors))


class DirectMessagesView(APIView):
    @documented("messages_direct", {200: history.HistoryPage}, query=DirectQuery, refusals=(400, 404))
    def get(self, request: Request) -> Response:
        """One's direct messages, with one other user or with everybody, newest first.

        Paged as a room's, by the `seq` of one's own stream `user.<id>`. Without `with` this is what a `resume` that
        could not replay that stream gives as `fetch`: all of its chat, and nothing else that it had.
        """
        given = validated(DirectQuery, request.query_params)
        me, with_id = request.user.pk, given.pop("with", None)
        cursors = history.Cursors(**given)
        if with_id is None:
            return _answer(history.list_all_direct(me, cursors))
        return _answer(history.list_direct(me, with_id, cursors))


def _answer(page: history.HistoryPage) -> Response:
    return Response(msgspec.to_builtins(page))
