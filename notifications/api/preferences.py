"""REST: what a reader has chosen, and why a notification came or did not. Routed by `notifications.urls`."""

import msgspec
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.response import Response

from notifications.api.inbox import require_own
from notifications.api.preference_shapes import PreferencesShape
from notifications.api.turns import ChangeView
from notifications.preferences import changing
from notifications.preferences.explaining import explain
from notifications.preferences.showing import Preferences, show
from notifications.types import Channel
from realtime.integration.rest import RealtimeView, documented, validated
from realtime.protocol.frames import Time, format_time


class ChannelExplanation(msgspec.Struct, frozen=True):
    """Which rule has decided on one channel. `verdict` is `sent`, `waiting` (until `until`) or `off`."""

    channel: Channel
    verdict: str
    rule: str
    until: Time | None
    text: str


class NotificationExplanation(msgspec.Struct, frozen=True):
    """Why you got a notification, as the site says, and how."""

    reason: str
    channels: list[ChannelExplanation]


class PreferencesView(ChangeView):
    @documented("preferences_read", {200: Preferences}, summary=_("Read your preferences"))
    def get(self, request: Request) -> Response:
        """Read what you have chosen, with all categories and types that there are.

        In a category or type, a channel is null where you have chosen nothing; `now` says what holds then.
        """
        return Response(msgspec.to_builtins(show(request.user.pk)))

    @documented(
        "preferences_change",
        {200: Preferences},
        body=PreferencesShape,
        refusals=(400,),
        summary=_("Change your preferences"),
    )
    def patch(self, request: Request) -> Response:
        """Change some of your preferences; what you leave out stays.

        `categories` and `types` are objects by key, such as `{"mention": {"mail": false}}`; null takes a choice back.
        What is waiting because of earlier choices is decided again within seconds.
        """
        given = validated(PreferencesShape, request.data)
        changing.change(request.user.pk, **PreferencesShape.as_changes(given))
        return Response(msgspec.to_builtins(show(request.user.pk)))


class ExplainView(RealtimeView):
    @documented(
        "notifications_explain",
        {200: NotificationExplanation},
        refusals=(404,),
        summary=_("Ask why a notification came"),
    )
    def get(self, request: Request, id: str) -> Response:
        """Read why you got one of your notifications, and why it came, or did not come, in each way."""
        row = require_own(request.user.pk, id)
        channels = [
            ChannelExplanation(
                found.channel, found.verdict, found.rule, format_time(found.until) if found.until else None, found.text
            )
            for found in explain(row, row.recipient_id)
        ]
        return Response(msgspec.to_builtins(NotificationExplanation(row.reason, channels)))
