"""What was written, in rooms and between two users (L4)."""

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from realtime import history
from realtime.serializers import CursorQuery, DirectQuery, HistoryShape
from realtime.views.schema import documented, validated


class RoomMessagesView(APIView):
    @documented("messages_of_room", {200: HistoryShape}, query=CursorQuery, refusals=(400, 404))
    def get(self, request: Request, room_id: str) -> Response:
        """A room's history, newest first.

        `before` and `after` bound the range. With `after` alone the page holds what directly follows it, and
        `next_after` goes on forward; else it holds the newest of the range, and `next_before` goes on backward.
        """
        cursors = history.Cursors(**validated(CursorQuery, request.query_params))
        return _answer(history.read_room(request.user.pk, room_id, cursors))


class DirectMessagesView(APIView):
    @documented("messages_with_user", {200: HistoryShape}, query=DirectQuery, refusals=(400, 404))
    def get(self, request: Request) -> Response:
        """What one and another user wrote to each other; paged as a room's, by the `seq` of one's own stream."""
        given = validated(DirectQuery, request.query_params)
        with_id = given.pop("with")
        return _answer(history.read_direct(request.user.pk, with_id, history.Cursors(**given)))


def _answer(page: history.Page) -> Response:
    return Response(msgspec.to_builtins(page))
