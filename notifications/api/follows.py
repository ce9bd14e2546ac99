"""REST: the objects that a reader follows or has muted. Routed by `notifications.urls`."""

from typing import Any

import msgspec
from django.db import models
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.response import Response

from notifications import clock, followables, follows
from notifications.api.serializers import MuteShape
from notifications.api.throttles import THROTTLES
from notifications.api.turns import ChangeView
from notifications.models import Follow
from notifications.models.target import Target, about, target_of
from realtime.integration.rest import ListView, PageQuery, RealtimeView, documented, validated
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.frames import Count, Text, Time, format_time


class Followed(msgspec.Struct, frozen=True):
    """What you want to hear of an object. `muted_until` is null if it is not muted, or without an end."""

    model: Text
    key: Text
    follows: bool
    muted: bool
    muted_until: Time | None


class FollowsPage(msgspec.Struct, frozen=True):
    count: Count
    offset: Count
    follows: list[Followed]


class FollowsView(ListView):
    @documented(
        "follows_list",
        {200: FollowsPage},
        query=PageQuery,
        refusals=(400, 429),
        summary=_("List what you follow and have muted"),
    )
    def get(self, request: Request) -> Response:
        """List the objects that you follow or have muted, the newest first."""
        page = validated(PageQuery, request.query_params)
        offset, own = page["offset"], _current(request.user.pk).order_by("-created_at", "-pk")
        found = [_describe(row) for row in own[offset : offset + page["limit"]]]
        return Response(msgspec.to_builtins(FollowsPage(own.count(), offset, found)))


class FollowView(RealtimeView):
    throttle_classes = THROTTLES

    @documented("follows_read", {200: Followed}, refusals=(404,), summary=_("Read whether you follow an object"))
    def get(self, request: Request, model: str, key: str) -> Response:
        """Read whether you follow an object, and whether you have muted it."""
        return _state(request.user.pk, _require_visible(request, model, key))

    @documented("follows_follow", {200: Followed}, refusals=(404, 429), summary=_("Follow an object"))
    def put(self, request: Request, model: str, key: str) -> Response:
        """Follow an object that you can see: you get what the site sends to its followers.

        `model` is a name such as `shop.order`, `key` the object's primary key. The site decides which can be followed.
        """
        thing = _require_visible(request, model, key)
        follows.follow(request.user.pk, thing)
        return _state(request.user.pk, thing)

    @documented("follows_unfollow", {204: None}, refusals=(404, 429), summary=_("Stop following an object"))
    def delete(self, request: Request, model: str, key: str) -> Response:
        """Stop following an object, which may be gone."""
        follows.clear(request.user.pk, _require_target(request, model, key), follows=False)
        return Response(status=204)


class MuteView(ChangeView):
    throttle_classes = THROTTLES

    @documented("follows_mute", {200: Followed}, body=MuteShape, refusals=(400, 404, 429), summary=_("Mute an object"))
    def put(self, request: Request, model: str, key: str) -> Response:
        """Mute an object that you can see, until a moment or without an end.

        What is about it is still stored and counted, and disturbs you no longer.
        """
        thing = _require_visible(request, model, key)
        follows.mute(request.user.pk, thing, validated(MuteShape, request.data)["until"])
        return _state(request.user.pk, thing)

    @documented("follows_unmute", {204: None}, refusals=(404, 429), summary=_("Unmute an object"))
    def delete(self, request: Request, model: str, key: str) -> Response:
        """Unmute an object, which may be gone."""
        follows.clear(request.user.pk, _require_target(request, model, key), muted_until=None)
        return Response(status=204)


def _require_visible(request: Request, model: str, key: str) -> models.Model:
    thing = followables.find_visible(request.user, model, key)
    if thing is None:
        raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_OBJECT)
    return thing


def _require_target(request: Request, model: str, key: str) -> Target:
    """Which other models the site has is nobody's business, but site code may have let the user follow one."""
    target = followables.find_target(model, key)
    if target is not None and not followables.is_declared(target):
        own: Any = request.user.pk
        target = target if Follow.objects.filter(user_id=own, **about(target)).exists() else None
    if target is None:
        raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_OBJECT)
    return target


def _current(user_id: Any) -> QuerySet[Follow]:
    """What the user follows, or has muted and the mute has not ended."""
    return Follow.objects.filter(Q(follows=True) | Q(muted_until__gt=clock.now()), user_id=user_id)


def _state(user_id: Any, thing: models.Model) -> Response:
    target = target_of(thing)
    row = _current(user_id).filter(**about(target)).first() or Follow(**about(target))
    return Response(msgspec.to_builtins(_describe(row)))


def _describe(row: Follow) -> Followed:
    until = row.muted_until
    muted = until is not None and until > clock.now()
    ends = muted and until != clock.as_stored(clock.FOREVER)
    return Followed(
        model=followables.label_of(row.target_type_id),
        key=row.target_key,
        follows=row.follows,
        muted=muted,
        muted_until=format_time(until) if until is not None and ends else None,
    )
