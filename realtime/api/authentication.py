"""Authentication of REST requests: the access token in the header, checked like the token of a socket.

All views of the API use it, and views of the site may name it. It costs two queries: the revocations and the user.
"""

from functools import cache
from typing import Any

from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication

from realtime.auth import logins, tokens
from realtime.auth.site_tokens import NOT_AN_ID, changes_validation, find_authentication, look_up
from realtime.auth.users import ExactUsers
from realtime.delivery.refusal_texts import say
from realtime.protocol.errors import Closed, Reason


class RefusesEnded(JWTAuthentication):
    """Refuses tokens of a login that has ended, whoever found their user."""

    refuses_ended = True  # for the system check

    def get_user(self, validated_token: Any) -> Any:
        try:
            claims = tokens.to_claims(validated_token)
        except Closed as refusal:
            raise _failure(refusal.reason) from None
        try:
            user = look_up(self, super().get_user(validated_token), validated_token)
        except NOT_AN_ID:
            raise _failure("UNAUTHENTICATED") from None
        if logins.find_ended([logins.make_login(claims, user)]):
            raise _failure("UNAUTHENTICATED")
        return user


class TokenAuthentication(RefusesEnded):
    """simplejwt's authentication, or what the site's own class says, for tokens of logins that have not ended."""

    def authenticate(self, request: Request) -> Any:
        found = super().authenticate(request)
        return self._authenticate_bearer(request) if found is None else found

    def _authenticate_bearer(self, request: Request) -> Any:
        """A token behind `Bearer`, as the library for browsers sends it, where SIMPLE_JWT has another word or header.

        One that is not ours is left to the site's other classes, which may have the same word.
        """
        word, _, raw = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if word.lower() != "bearer":
            return None
        try:
            token = self.get_validated_token(raw.strip().encode("latin-1", "replace"))
        except AuthenticationFailed as refusal:
            if getattr(refusal.detail, "code", "") == "TOKEN_EXPIRED":
                raise
            return None
        return self.get_user(token), token

    def get_validated_token(self, raw_token: bytes) -> Any:
        kind = find_authentication() if type(self) is TokenAuthentication else None
        if kind is not None and changes_validation(kind):
            return kind().get_validated_token(raw_token)
        try:
            return tokens.verify_access(raw_token.decode("latin-1"))
        except Closed as refusal:
            raise _failure(refusal.reason) from None

    def get_user(self, validated_token: Any) -> Any:
        if type(self) is TokenAuthentication:
            if (kind := find_authentication()) is not None:
                site_kind: Any = kind
                return refusing_ended(site_kind)().get_user(validated_token)
            users: Any = ExactUsers()
            self.user_model = users
        try:
            return super().get_user(validated_token)
        except AuthenticationFailed as refusal:
            # simplejwt has this text in English only.
            if isinstance(refusal.detail, dict) and refusal.detail.get("code") == "password_changed":
                raise _failure("UNAUTHENTICATED") from None
            raise


@cache
def refusing_ended(kind: Any) -> type[JWTAuthentication]:
    """The site's own class, which here also refuses tokens of a login that has ended."""
    return kind if issubclass(kind, RefusesEnded) else type(kind.__name__, (RefusesEnded, kind), {})


def _failure(reason: str) -> AuthenticationFailed:
    text = Reason.TOKEN_EXPIRED if reason == "TOKEN_EXPIRED" else Reason.TOKEN_NOT_VALID
    return AuthenticationFailed(say(text), code=reason)
