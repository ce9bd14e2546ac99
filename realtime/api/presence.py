"""Who is online (L4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import OuterRef, Subquery
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from realtime.api.schema import documented, validated
from realtime.api.serializers import OnlineCountShape, OnlineShape, PageQuery, StatusesQuery, StatusShape
from realtime.auth import user_ids
from realtime.manager import manager
from realtime.models import LastSeen
from realtime.presence.store import OFFLINE, Entry
from realtime.protocol.errors import ErrorCode, Reason, Refused


@dataclass(frozen=True, slots=True)
class Status:
    """What everybody may know of a user. Who appears offline looks like who is."""

    user_id: Any
    online: bool
    status: str
    last_seen: datetime | None
    connections_count: int


class OnlineView(APIView):
    @documented("presence_list", {200: OnlineShape}, query=PageQuery, refusals=(400,))
    def get(self, request: Request) -> Response:
        """Who is online."""
        page = validated(PageQuery, request.query_params)
        entries = manager.get_online_page(page["offset"], page["limit"])
        found = [_describe(_primary_key(entry), entry, None) for entry in entries if entry.online]
        listed = {"online_count": manager.get_online_count(), "offset": page["offset"], "users": found}
        return Response(OnlineShape(listed).data)


class OnlineCountView(APIView):
    @documented("presence_count", {200: OnlineCountShape})
    def get(self, request: Request) -> Response:
        """How many users are online."""
        return Response({"online_count": manager.get_online_count()})


class StatusView(APIView):
    @documented("presence_read", {200: StatusShape}, refusals=(404,))
    def get(self, request: Request, user_id: str) -> Response:
        """Whether a user is online, or when that was last so."""
        pk = user_ids.read_id(user_id)
        found = [] if pk is None else _look_up([pk])
        if not found:
            raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_USER)
        return Response(StatusShape(found[0]).data)


class StatusesView(APIView):
    @documented("presence_read_many", {200: StatusShape(many=True)}, query=StatusesQuery, refusals=(400,))
    def get(self, request: Request) -> Response:
        """The same of several users, in the order asked for. Unknown ones are left out."""
        asked = validated(StatusesQuery, request.query_params)["user_ids"]
        return Response(StatusShape(_look_up(asked), many=True).data)


def _look_up(pks: Sequence[Any]) -> list[Status]:
    """The statuses of those users that exist: one query, one question to the store."""
    seen = LastSeen.objects.filter(user=OuterRef("pk")).values("at")
    rows = get_user_model()._default_manager.filter(pk__in=pks).annotate(seen=Subquery(seen))
    last_seen = dict(rows.values_list("pk", "seen"))
    entries = manager.get_entries([str(pk) for pk in last_seen])
    return [_describe(pk, entries.get(str(pk)), last_seen[pk]) for pk in pks if pk in last_seen]


def _describe(pk: Any, entry: Entry | None, last_seen: datetime | None) -> Status:
    if entry is None or not entry.online:
        return Status(pk, False, OFFLINE, last_seen, 0)
    return Status(pk, True, entry.status, timezone.now(), entry.connections)


def _primary_key(entry: Entry) -> Any:
    """The store knows ids as strings only."""
    pk = user_ids.read_id(entry.user_id)
    return entry.user_id if pk is None else pk
