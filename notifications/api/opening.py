"""REST: the address that links in mails lead to, which marks a notification as read. Routed by `notifications.urls`.

It is for browsers as well as for programs: who is not logged in is sent to the site's login page, or gets 401.
"""

from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.urls import get_script_prefix
from django.utils.html import escape
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from notifications import inbox
from notifications.api.inbox import require_own
from notifications.api.turns import ChangeView
from notifications.links import SCHEMES, is_safe
from realtime.integration.rest import documented
from realtime.protocol.errors import ErrorCode, Refused


class PageRenderer(BaseRenderer):
    """For browsers: what is refused, in words."""

    media_type = "text/html"
    format = "html"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return str(escape(data["detail"])).encode() if data and "detail" in data else b""


class Leading(HttpResponseRedirect):
    """A redirect to a notification's link."""

    allowed_schemes = sorted(SCHEMES)


class OpenView(ChangeView):
    # Without a wish for JSON, it is a browser.
    renderer_classes = (PageRenderer, JSONRenderer)

    def get_authenticators(self) -> list[BaseAuthentication]:
        # Browsers have the session cookie, also where the site's own API does not take it.
        return [*super().get_authenticators(), SessionAuthentication()]

    def is_change(self, request: Request) -> bool:
        return request.method == "GET"  # HEAD only asks where it leads, and changes nothing

    @documented("notifications_open", {302: None}, refusals=(404, 429), summary=_("Open a notification"))
    def get(self, request: Request, id: str) -> HttpResponse:
        """Mark one of your notifications as read, and go to its link; without a link, to the site's start page.

        Links in mails lead here. A browser that is not logged in is sent to the site's login page first.
        """
        row = require_own(request.user.pk, id)
        if self.is_change(request):
            inbox.act(request.user.pk, "read", ids=[row.pk])
        return Leading(_whole(row.link if is_safe(row.link) else ""))

    def handle_exception(self, error: Exception) -> Any:
        if isinstance(getattr(self.request, "accepted_renderer", None), PageRenderer):
            if isinstance(error, NotAuthenticated | AuthenticationFailed):
                return redirect_to_login(self.request.get_full_path())
            if isinstance(error, Refused) and error.code == ErrorCode.NOT_FOUND:
                raise Http404(str(error))  # the site's own page for it
        return super().handle_exception(error)


def _whole(link: str) -> str:
    """The link from the site's start page; as it is, one that says less would lead to somewhere below this address."""
    return link if link.startswith("/") or urlsplit(link).scheme else f"{get_script_prefix()}{link}"
