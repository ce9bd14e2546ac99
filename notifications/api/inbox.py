"""REST: a reader's inbox. Routed by `notifications.urls`."""

from typing import Any

import msgspec
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from notifications import inbox, pushing
from notifications.api import pages
from notifications.api.fields import read_id
from notifications.api.serializers import ActShape, ActsShape, InboxQuery, UndoShape, as_filters
from notifications.api.throttles import THROTTLES
from notifications.api.turns import ChangeView
from notifications.frames import Counts, Item
from notifications.inbox import CannotUndo, HasMoved, Outcome, Place
from notifications.inbox.acts import STEPS
from notifications.models import Notification
from notifications.types import find_type
from realtime.integration.rest import ListView, RealtimeView, documented, validated
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.frames import Count


class Changed(msgspec.Struct, frozen=True):
    """How many notifications were changed, the counts since, and the text with which this can be undone."""

    changed: Count
    undo: str
    counts: Counts


def require_own(user_id: Any, given: str) -> Notification:
    """The reader's notification with the id in the address. Raises NOT_FOUND, for somebody else's, too."""
    pk = read_id(given)
    row = None if pk is None else inbox.find(user_id, pk)
    if row is None:
        raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_NOTIFICATION)
    return row


class InboxView(ListView):
    @documented(
        "notifications_list",
        {200: pages.InboxPage},
        query=InboxQuery,
        refusals=(400, 429),
        summary=_("List your notifications"),
    )
    def get(self, request: Request) -> Response:
        """List your notifications, newest first, with the counts of the inbox.

        `box` chooses the list: `inbox` has what is neither archived nor snoozed. `next` leads to the next page, with
        `before`; it is null on the last one. `newest` is the place of the first notification of the page, for acts on
        the whole list. Texts are in the language of the request.
        """
        given = validated(InboxQuery, request.query_params.dict())  # as if it were JSON: an empty value is wrong
        page = pages.read(request.user.pk, as_filters(given), given.get("before"), given["limit"])
        return _answer(page)


class CountsView(RealtimeView):
    @documented("notifications_count", {200: Counts}, summary=_("Count what is unread and unseen"))
    def get(self, request: Request) -> Response:
        """Count the notifications of your inbox that are unread and unseen; 100 stands for more than 99."""
        return _answer(inbox.counts(request.user.pk))


class NotificationView(RealtimeView):
    @documented("notifications_read", {200: Item}, refusals=(404,), summary=_("Read a notification"))
    def get(self, request: Request, id: str) -> Response:
        """Read one of your notifications. This does not mark it as read."""
        return _answer(pushing.item(require_own(request.user.pk, id)))


class ActView(ChangeView):
    throttle_classes = THROTTLES

    @documented(
        "notifications_act",
        {200: Changed},
        body=ActShape,
        refusals=(400, 404, 429),
        summary=_("Mark a notification"),
    )
    def post(self, request: Request, id: str, act: str) -> Response:
        """Mark one of your notifications.

        `act` is `seen`, `read`, `unread`, `archive`, `unarchive`, `snooze` (with `until`), `unsnooze` or `delete`.
        Doing it again changes nothing: `changed` is 0 then.
        """
        user_id = request.user.pk
        row = require_own(user_id, id)
        if act not in STEPS:
            raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_ACT)
        given = validated(ActShape, request.data, context={"act": act})
        name: Any = act
        outcome = inbox.act(user_id, name, ids=[row.pk], until=given.get("until"))
        if not outcome.changed:
            require_own(user_id, id)  # it may have been withdrawn meanwhile
        return _report(user_id, outcome)


class ActionView(ChangeView):
    throttle_classes = THROTTLES

    @documented(
        "notifications_take",
        {200: Item},
        refusals=(404, 409, 429),
        summary=_("Take an action of a notification"),
    )
    def post(self, request: Request, id: str, key: str) -> Response:
        """Note which action of one of your notifications you have taken. This also reads it and ends its snooze.

        Taking the same one again changes nothing; after another one it is a conflict.
        """
        row = require_own(request.user.pk, id)
        kind = find_type(row.type)
        if key not in [action.key for action in (kind.actions if kind else ())]:
            raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_ACTION)
        inbox.take_action(request.user.pk, row.pk, key)
        row = require_own(request.user.pk, id)
        if row.action != key:
            raise Refused(ErrorCode.CONFLICT, Reason.ACTION_TAKEN)
        return _answer(pushing.item(row))


class ActsView(ChangeView):
    throttle_classes = THROTTLES

    @documented(
        "notifications_act_many",
        {200: Changed},
        body=ActsShape,
        refusals=(400, 404, 429),
        summary=_("Mark many notifications"),
    )
    def post(self, request: Request) -> Response:
        """Mark the notifications of a list, or those with some ids.

        For a list, `filter` has the filters of the list, and `up_to` says what you have seen of it: what has arrived
        since stays as it is.
        """
        given = validated(ActsShape, request.data)
        user_id, until = request.user.pk, given.get("until")
        if "ids" in given:
            outcome = inbox.act(user_id, given["act"], ids=given["ids"], until=until)
        else:
            filters, place = as_filters(given.get("filter", {})), _require_place(user_id, given["up_to"])
            outcome = inbox.act(user_id, given["act"], filters=filters, place=place, until=until)
        return _report(user_id, outcome)


class UndoView(ChangeView):
    throttle_classes = THROTTLES

    @documented(
        "notifications_undo", {200: Changed}, body=UndoShape, refusals=(400, 429), summary=_("Undo what was marked")
    )
    def post(self, request: Request) -> Response:
        """Undo an act of the last ten minutes.

        What it changed, and nobody has changed since, becomes as it was before, whatever other devices did meanwhile.
        """
        try:
            outcome = inbox.undo(request.user.pk, validated(UndoShape, request.data)["undo"])
        except CannotUndo:
            raise ValidationError({"undo": [_("This cannot be undone, or no longer.")]}) from None
        return _report(request.user.pk, outcome)


def _require_place(user_id: Any, up_to: Place | int) -> Place:
    try:
        place = inbox.find_place(user_id, up_to) if isinstance(up_to, int) else up_to
    except HasMoved:
        raise ValidationError(
            {"up_to": [_("This notification has moved. Enter the place where you saw it.")]}
        ) from None
    if place is None:
        raise Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_NOTIFICATION)
    return place


def _report(user_id: Any, outcome: Outcome) -> Response:
    return _answer(Changed(outcome.changed, outcome.undo, inbox.counts(user_id)))


def _answer(struct: msgspec.Struct) -> Response:
    return Response(msgspec.to_builtins(struct))
