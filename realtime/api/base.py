"""What all views of the API have in common. They bring what they need, and do not depend on the site's REST_FRAMEWORK.

Only these of the site's settings apply to them: its ways to log in, its throttles and `NUM_PROXIES`.
"""

from collections.abc import Callable, Sequence
from io import SEEK_END, IOBase
from tempfile import SpooledTemporaryFile
from typing import Any

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, BasicAuthentication
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.parsers import BaseParser, FormParser, JSONParser, MultiPartParser
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.versioning import BaseVersioning
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.settings import api_settings

from realtime.api.authentication import TokenAuthentication, refusing_ended
from realtime.api.errors import exception_handler
from realtime.api.throttles import ChangeThrottle
from realtime.auth.user_ids import is_user
from realtime.conf import csrf_header_key


class EscapingRenderer(JSONRenderer):
    ensure_ascii = True


class Renderer(JSONRenderer):
    """JSON in UTF-8; in ASCII where an error repeats halves of surrogate pairs, which have no bytes in UTF-8."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        try:
            return super().render(data, accepted_media_type, renderer_context)
        except UnicodeEncodeError:
            return EscapingRenderer().render(data, accepted_media_type, renderer_context)


def measure_body(request: Request) -> None:
    """Note how long a body is that came without a length, in chunks: REST framework would take it for an empty one.

    Raises ParseError for one that cannot be measured, because the server leaves it to whoever reads it.
    """
    received: Any = request._request
    if received.META.get("CONTENT_LENGTH"):
        return
    body = getattr(received, "_stream", None)
    if isinstance(body, IOBase | SpooledTemporaryFile) and body.seekable():
        place = body.tell()
        received.META["CONTENT_LENGTH"] = str(body.seek(0, SEEK_END))
        body.seek(place)
    elif "HTTP_TRANSFER_ENCODING" in received.META:
        raise ParseError


class StandingView(APIView):
    """A view with parsers, renderers, versions and errors of its own. Named before a view of simplejwt."""

    parser_classes: Sequence[type[BaseParser]] = (JSONParser, FormParser, MultiPartParser)
    renderer_classes: Sequence[type[BaseRenderer]] = (Renderer,)
    content_negotiation_class: type[BaseContentNegotiation] = DefaultContentNegotiation
    versioning_class: type[BaseVersioning] | None = None

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        # The browser library sends the CSRF token in Django's own header, whatever CSRF_HEADER_NAME is.
        if token := request.META.get("HTTP_X_CSRFTOKEN"):
            request.META.setdefault(csrf_header_key(), token)
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        measure_body(request)
        super().initial(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Keep the answer out of caches: those of Django, which ask nobody whether the right still holds, and others.

        A view that sets `Cache-Control` decides itself.
        """
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    def get_exception_handler(self) -> Callable[..., Any]:
        return exception_handler


class IsUser(IsAuthenticated):
    """For users of the site alone, also as simplejwt describes them where a class believes the token alone.

    A class of the site may find somebody else, such as a device, whose primary key is also that of some user.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        known = isinstance(request.user, api_settings.TOKEN_USER_CLASS) or is_user(request.user)
        return known and super().has_permission(request, view)


class RealtimeView(StandingView):
    """A view for users who are logged in, with a token of ours or in another way that the site accepts.

    Never with a password: only `auth/token` takes one, where attempts are limited. A view that names throttles of its
    own is not limited with the others in what one user changes.
    """

    permission_classes: Sequence[type[BasePermission]] = (IsUser,)
    throttle_classes: Sequence[type[BaseThrottle]] = (*APIView.throttle_classes, ChangeThrottle)

    def get_authenticators(self) -> list[BaseAuthentication]:
        # Ours is first. It replaces simplejwt's, which accepts the access tokens of a login that has ended. A class of
        # the site may read tokens from elsewhere, such as a cookie.
        kinds: list[Any] = [
            kind
            for kind in self.authentication_classes
            if kind not in (JWTAuthentication, TokenAuthentication) and not issubclass(kind, BasicAuthentication)
        ]
        return [
            TokenAuthentication(),
            *(refusing_ended(kind)() if issubclass(kind, JWTAuthentication) else kind() for kind in kinds),
        ]
