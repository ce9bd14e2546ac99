"""REST: logging in and out, renewing tokens, and tickets for sockets. Routed by `realtime.urls`."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import auth
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, PermissionDenied
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.tokens import RefreshToken, Token
from rest_framework_simplejwt.views import TokenViewBase

from realtime.api.base import RealtimeView, StandingView
from realtime.api.login_shapes import find_login_shape, find_refresh_shape
from realtime.api.schema import documented, validated
from realtime.api.serializers import LoginShape, LogoutShape, RefreshShape, RenewedShape, TicketShape
from realtime.api.throttles import AddressThrottle, LoginThrottle
from realtime.auth import row_tokens, sessions, tickets, tokens
from realtime.conf import settings
from realtime.delivery import publishing
from realtime.protocol.errors import Closed, ErrorCode, Reason, Refused


class LoginView(StandingView, TokenViewBase):
    throttle_classes = [*APIView.throttle_classes, LoginThrottle, AddressThrottle]

    def get_serializer_class(self) -> Any:
        return find_login_shape()

    @documented("auth_login", {200: LoginShape}, body=LoginShape, refusals=(400, 429), anybody=True)
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Exchange a username and a password for an access token and a refresh token.

        Attempts are limited per minute: for one username from one address, and for one address with any usernames.
        """
        return super().post(request, *args, **kwargs)


class RefreshView(StandingView, TokenViewBase):
    def get_serializer_class(self) -> Any:
        return find_refresh_shape()

    @documented("auth_refresh", {200: RenewedShape}, body=RefreshShape, refusals=(400,), anybody=True)
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Exchange a refresh token for a new access token."""
        return super().post(request, *args, **kwargs)


class LogoutView(RealtimeView):
    permission_classes = (AllowAny,)
    throttle_classes = APIView.throttle_classes

    def perform_authentication(self, request: Request) -> None:
        """Done in `post` instead: with a refresh token, an expired access token must not prevent the logout."""

    @documented("auth_logout", {204: None}, body=LogoutShape, refusals=(400,))
    def post(self, request: Request) -> Response:
        """End a login: its tokens stop working and its sockets are closed.

        Send its refresh token in the body, its access token in the header, or both. With a session cookie, the session
        ends too. A token of `rest_framework.authtoken` or knox is deleted.
        """
        given = validated(LogoutShape, request.data).get("refresh")
        refresh = _read_refresh(given) if given else None
        _authenticate(request, needed=refresh is None)
        ended = tokens.end_logins(refresh, _claims(request))
        # With simplejwt's blacklist, its signals have closed the sockets already.
        if not tokens.can_revoke():
            for login in ended:
                publishing.disconnect_login(login)
        if _has_session(request):
            auth.logout(request._request)
        elif row_tokens.is_only_a_token(request.auth):
            request.auth.delete()
        elif refresh is None and not isinstance(request.auth, Token):
            raise Refused(ErrorCode.INVALID_MESSAGE, Reason.LOGIN_NOT_OURS)
        return Response(status=204)


def _authenticate(request: Request, *, needed: bool) -> None:
    try:
        known = _is_known(request)
    except (AuthenticationFailed, PermissionDenied):
        # REST framework has made the request's user anonymous.
        if needed:
            raise
        known = False
    if needed and not known:
        raise NotAuthenticated


def _is_known(request: Request) -> bool:
    """Whether the request has a user. A site may have set UNAUTHENTICATED_USER to None."""
    return bool(request.user and request.user.is_authenticated)


def _claims(request: Request) -> tokens.Claims | None:
    """The claims of the access token in the header; None for a request without one."""
    return tokens.to_claims(request.auth) if isinstance(request.auth, Token) else None


def _login(request: Request) -> tokens.Claims | None:
    """The login of a request, as claims, whatever it came with. None if nothing of it is known."""
    if (claims := _claims(request)) is not None:
        return claims
    if _has_session(request):
        name = sessions.name_login(request.session, request.session.session_key)
        ends: datetime | None = datetime.fromtimestamp(sessions.find_end(request.session), UTC)
    else:
        name = row_tokens.name_login(request.auth) if row_tokens.is_row_of(request.auth, request.user) else ""
        ends = row_tokens.find_expiry(request.auth)
    return tokens.Claims(str(request.user.pk), name, name, ends, None) if name or ends else None


def _has_session(request: Request) -> bool:
    """Whether the request came with a session cookie, and with nothing else that says who it is from."""
    if request.auth is not None or not _is_known(request):
        return False
    return sessions.is_logged_in(getattr(request, "session", None), request.user)


def _read_refresh(given: str) -> RefreshToken:
    try:
        return tokens.verify_refresh(given)
    except Closed as refusal:
        raise AuthenticationFailed(code=refusal.reason) from None


class TicketView(RealtimeView):
    @documented("auth_ticket", {200: TicketShape})
    def post(self, request: Request) -> Response:
        """Get a ticket, which opens one socket when it is added to the address as `?ticket=…`.

        It keeps tokens out of addresses. It is valid once, for `expires_in` seconds.
        """
        ticket = tickets.issue(request.user.pk, _login(request), tokens.hash_password(request.user))
        return Response({"ticket": ticket, "expires_in": max(1, int(settings().ticket_seconds))})
