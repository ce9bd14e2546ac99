"""REST: the members of rooms. Routed by `realtime.urls`."""

from collections.abc import Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from realtime.api.base import RealtimeView
from realtime.api.lists import ListView
from realtime.api.schema import documented, validated
from realtime.api.serializers import MemberShape, MembersShape, NewMemberShape, PageQuery
from realtime.auth import user_ids
from realtime.auth.names import name_all
from realtime.chat import rooms
from realtime.models import Membership
from realtime.protocol.errors import ErrorCode, Reason, Refused


class MembersView(ListView):
    @documented("members_list", {200: MembersShape}, query=PageQuery, refusals=(400, 403, 404, 429))
    def get(self, request: Request, room_id: str) -> Response:
        """List the members of a room. Only members may do this."""
        page = validated(PageQuery, request.query_params)
        offset, members = page["offset"], rooms.list_members(request.user.pk, room_id)
        found = list(members[offset : offset + page["limit"]])
        shown = {"count": members.count(), "offset": offset, "members": found}
        return Response(MembersShape(shown, context=_context(request, found)).data)

    @documented("members_add", {200: MemberShape, 201: MemberShape}, body=NewMemberShape, refusals=(400, 403, 404, 409))
    def post(self, request: Request, room_id: str) -> Response:
        """Join a public room, or, as an owner, add somebody or change their role.

        The status is 201 for a new member, and 200 for somebody who was a member before.
        """
        given = validated(NewMemberShape, request.data)
        me = request.user.pk
        user_id = given.get("user_id", me)
        role = given.get("role")
        if user_id == me and role != rooms.OWNER:
            joined = rooms.join(me, room_id)
            created = joined.created
            if role not in (None, joined.role):  # an owner who becomes a member
                rooms.add_member(me, room_id, me, role)
        else:
            _membership, created = rooms.add_member(me, room_id, user_id, role)
        membership = rooms.get_member(room_id, user_id)
        return Response(MemberShape(membership, context=_context(request, [membership])).data, 201 if created else 200)

    @documented("members_leave", {204: None}, refusals=(403, 404, 409))
    def delete(self, request: Request, room_id: str) -> Response:
        """Leave a room. Its last owner cannot leave."""
        rooms.remove_member(request.user.pk, room_id, request.user.pk)
        return Response(status=204)


def _context(request: Request, memberships: Sequence[Membership]) -> dict[str, Any]:
    """What MemberShape needs besides: the names of the users, but not of others who have not opened the room yet."""
    shown = [each for each in memberships if not each.invited or each.user_id == request.user.pk]
    return {"names": name_all(each.user for each in shown)}


class MemberView(RealtimeView):
    @documented("members_remove", {204: None}, refusals=(403, 404, 409))
    def delete(self, request: Request, room_id: str, user_id: str) -> Response:
        """Remove a member from a room that you own."""
        pk = user_ids.read_id(user_id)
        if pk is None:
            rooms.require_owner(request.user.pk, room_id)
            raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_MEMBER)
        rooms.remove_member(request.user.pk, room_id, pk)
        return Response(status=204)
