"""REST: who is online. Routed by `realtime.urls`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import msgspec
from django.db.models import OuterRef, Subquery
from rest_framework.request import Request
from rest_framework.response import Response

from realtime.api.lists import ListView
from realtime.api.schema import documented, list_of, validated
from realtime.api.serializers import PageQuery, StatusesQuery
from realtime.auth import user_ids
from realtime.auth.users import active_users
from realtime.models import LastSeen
from realtime.presence import audience, online
from realtime.presence.store import OFFLINE, Entry
from realtime.protocol import commands
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.frames import Count, OnlineCountData, Time, UserId, format_time, utc_now


class Status(msgspec.Struct, frozen=True):
    """The presence of a user. One who appears offline, or whose presence the reader may not see, looks offline."""

    user_id: UserId
    online: bool
    status: commands.Status
    last_seen: Time | None
    connections_count: Count


class OnlinePage(msgspec.Struct, frozen=True):
    online_count: Count
    offset: Count
    users: list[Status]


class OnlineView(ListView):
    @documented("presence_list", {200: OnlinePage}, query=PageQuery, refusals=(400, 429))
    def get(self, request: Request) -> Response:
        """List the users who are online and whose presence you may see. Those who appear offline are left out."""
        page = validated(PageQuery, request.query_params)
        online_count, entries = _find_page(request, page["offset"], page["limit"])
        found = [_describe(_primary_key(entry), entry, None) for entry in entries if entry.online]
        listed = OnlinePage(online_count=online_count, offset=page["offset"], users=found)
        return Response(msgspec.to_builtins(listed))


class OnlineCountView(ListView):
    def makes_list(self) -> bool:
        return not audience.is_everyone()

    @documented("presence_count", {200: OnlineCountData}, refusals=(429,))
    def get(self, request: Request) -> Response:
        """Count the users who are online and whose presence you may see. Those who appear offline are left out."""
        count = online.count() if audience.is_everyone() else _find_page(request, 0, 0).online_count
        return Response(msgspec.to_builtins(OnlineCountData(count)))


class StatusView(ListView):
    def makes_list(self) -> bool:
        return audience.asks_site()

    @documented("presence_read", {200: Status}, refusals=(404, 429))
    def get(self, request: Request, user_id: str) -> Response:
        """Read whether a user is online, and when they were last seen."""
        pk = user_ids.read_id(user_id)
        found = [] if pk is None else _look_up(request, [pk])
        if not found:
            raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_USER)
        return Response(msgspec.to_builtins(found[0]))


class StatusesView(ListView):
    @documented("presence_read_many", {200: list_of(Status)}, query=StatusesQuery, refusals=(400, 429))
    def get(self, request: Request) -> Response:
        """Read the status of several users, in the order of `user_ids`. Unknown users are left out."""
        asked = validated(StatusesQuery, request.query_params)["user_ids"]
        return Response(msgspec.to_builtins(_look_up(request, asked)))


def _find_page(request: Request, offset: int, limit: int) -> online.OnlinePage:
    if audience.is_everyone():
        return online.page(offset, limit)
    return online.page_of(audience.visible_to(_key(request)), offset, limit)


def _look_up(request: Request, pks: Sequence[Any]) -> list[Status]:
    """The statuses of those users that exist and are active, with two queries and one call of the presence store."""
    seen = LastSeen.objects.filter(user=OuterRef("pk")).values("at")
    last_seen = dict(active_users(pks).annotate(seen=Subquery(seen)).values_list("pk", "seen"))
    visible = audience.visible_among(_key(request), list(last_seen))
    entries = online.entries([str(pk) for pk in last_seen if str(pk) in visible])
    return [
        _describe(pk, entries.get(str(pk)), last_seen[pk] if str(pk) in visible else None)
        for pk in pks
        if pk in last_seen
    ]


def _key(request: Request) -> str:
    return str(request.user.pk)


def _describe(pk: Any, entry: Entry | None, last_seen: datetime | None) -> Status:
    user_id = user_ids.wire_id(pk)
    if entry is None or not entry.online:
        return Status(user_id, False, OFFLINE, None if last_seen is None else format_time(last_seen), 0)
    return Status(user_id, True, cast(commands.Status, entry.status), utc_now(), entry.connections)


def _primary_key(entry: Entry) -> Any:
    """The user's primary key: the store has ids as strings only."""
    pk = user_ids.read_id(entry.user_id)
    return entry.user_id if pk is None else pk
