"""REST: the live announcements of the reader, and what they do with them. Routed by `notifications.urls`."""

import re
from typing import ClassVar

import msgspec
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.response import Response

from notifications.announcements.acts import Act, act, not_found
from notifications.announcements.events import state_of
from notifications.announcements.reading import list_live
from notifications.frames import AnnouncementItem, AnnouncementStateData
from realtime.integration.rest import ListView, RealtimeView, documented

NUMBER = re.compile(r"[1-9]\d{0,17}", re.ASCII)  # what the column holds


class AnnouncementsPage(msgspec.Struct, frozen=True):
    announcements: list[AnnouncementItem]


class AnnouncementsView(ListView):
    @documented(
        "announcements_list", {200: AnnouncementsPage}, refusals=(429,), summary=_("List the live announcements")
    )
    def get(self, request: Request) -> Response:
        """List the live announcements that concern you, the newest first, without those that you have closed in a way
        that their `closing` allows. Each is in the language of the request if it has a text in it.
        """
        return Response(msgspec.to_builtins(AnnouncementsPage(list_live(request.user))))


class ActView(RealtimeView):
    """Base of the views for one act."""

    name: ClassVar[Act]

    def note(self, request: Request, announcement_id: str) -> Response:
        if not NUMBER.fullmatch(announcement_id):
            raise not_found()
        return Response(msgspec.to_builtins(state_of(act(request.user, int(announcement_id), self.name))))


class SeenView(ActView):
    name = "seen"

    @documented(
        "announcements_see", {200: AnnouncementStateData}, refusals=(404,), summary=_("Note that you have seen one")
    )
    def post(self, request: Request, announcement_id: str) -> Response:
        """Note that an announcement has been shown to you."""
        return self.note(request, announcement_id)


class ReadView(ActView):
    name = "read"

    @documented(
        "announcements_read", {200: AnnouncementStateData}, refusals=(404,), summary=_("Note that you have read one")
    )
    def post(self, request: Request, announcement_id: str) -> Response:
        """Note that you have read an announcement, for example opened its link. It has been seen, too."""
        return self.note(request, announcement_id)


class DismissView(ActView):
    name = "dismiss"

    @documented(
        "announcements_dismiss", {200: AnnouncementStateData}, refusals=(404, 409), summary=_("Dismiss an announcement")
    )
    def post(self, request: Request, announcement_id: str) -> Response:
        """Dismiss an announcement: it is no longer in your list."""
        return self.note(request, announcement_id)


class ConfirmView(ActView):
    name = "confirm"

    @documented(
        "announcements_confirm", {200: AnnouncementStateData}, refusals=(404, 409), summary=_("Confirm an announcement")
    )
    def post(self, request: Request, announcement_id: str) -> Response:
        """Confirm that you have read an announcement: it is no longer in your list."""
        return self.note(request, announcement_id)
