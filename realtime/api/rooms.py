"""REST: rooms. Routed by `realtime.urls`."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from realtime.api.base import RealtimeView
from realtime.api.schema import documented, validated
from realtime.api.serializers import NewRoomShape, PageQuery, RoomChangesShape, RoomShape, RoomsShape
from realtime.api.throttles import RoomThrottle
from realtime.chat import rooms


class RoomsView(RealtimeView):
    throttle_classes = [*APIView.throttle_classes, RoomThrottle]

    @documented("rooms_list", {200: RoomsShape}, query=PageQuery, refusals=(400,))
    def get(self, request: Request) -> Response:
        """List the rooms that you can see: the public ones, and the private ones of which you are a member."""
        page = validated(PageQuery, request.query_params)
        offset, visible = page["offset"], rooms.describe(request.user.pk)
        found = visible[offset : offset + page["limit"]]
        return Response(RoomsShape({"count": visible.count(), "offset": offset, "rooms": found}).data)

    @documented("rooms_create", {201: RoomShape}, body=NewRoomShape, refusals=(400, 409, 429))
    def post(self, request: Request) -> Response:
        """Create a room. You become its owner."""
        given = validated(NewRoomShape, request.data)
        user_id = request.user.pk
        room = rooms.create_room(user_id, title=given["title"], slug=given.get("id"), private=given["private"])
        return Response(RoomShape(rooms.get_visible(user_id, room.slug)).data, 201)


class RoomView(RealtimeView):
    @documented("rooms_read", {200: RoomShape}, refusals=(404,))
    def get(self, request: Request, room_id: str) -> Response:
        """Read a room that you can see."""
        return Response(RoomShape(rooms.get_visible(request.user.pk, room_id)).data)

    @documented("rooms_change", {200: RoomShape}, body=RoomChangesShape, refusals=(400, 403, 404))
    def patch(self, request: Request, room_id: str) -> Response:
        """Change the title or the privacy of a room that you own. Its id stays the same."""
        changes = validated(RoomChangesShape, request.data, partial=True)
        rooms.update(request.user.pk, room_id, **changes)
        return Response(RoomShape(rooms.get_visible(request.user.pk, room_id)).data)

    @documented("rooms_delete", {204: None}, refusals=(403, 404))
    def delete(self, request: Request, room_id: str) -> Response:
        """Delete a room that you own, and its messages."""
        rooms.delete(request.user.pk, room_id)
        return Response(status=204)
