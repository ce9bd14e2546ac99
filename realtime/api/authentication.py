"""Authentication of REST requests: the access token in the header, checked like the token of a socket.

All views of the API use it, and views of the site may name it. It costs two queries: the revocations and the user.
"""

from typing import Any

from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.authentication import JWTAuthentication

from realtime.auth import tokens
from realtime.delivery.refusal_texts import say
from realtime.protocol.errors import Closed, Reason


class TokenAuthentication(JWTAuthentication):
    """simplejwt's authentication, which here also refuses the tokens of a login that has ended."""

    def get_validated_token(self, raw_token: bytes) -> Any:
        try:
            return tokens.verify_access(raw_token.decode("latin-1"))
        except Closed as refusal:
            raise _failure(refusal.reason) from None

    def get_user(self, validated_token: Any) -> Any:
        claims = tokens.to_claims(validated_token)
        if tokens.revoked([claims.login, claims.jti]):
            raise _failure("UNAUTHENTICATED")
        try:
            return super().get_user(validated_token)
        except ValueError:  # not a user id of this site
            raise _failure("UNAUTHENTICATED") from None
        except AuthenticationFailed as refusal:
            # simplejwt has this text in English only.
            if isinstance(refusal.detail, dict) and refusal.detail.get("code") == "password_changed":
                raise _failure("UNAUTHENTICATED") from None
            raise


def _failure(reason: str) -> AuthenticationFailed:
    text = Reason.TOKEN_EXPIRED if reason == "TOKEN_EXPIRED" else Reason.TOKEN_NOT_VALID
    return AuthenticationFailed(say(text), code=reason)


class TokenScheme(SimpleJWTScheme):  # type: ignore[no-untyped-call]
    """Describes the tokens for drf-spectacular, which finds this class once it is imported."""

    target_class = "realtime.api.authentication.TokenAuthentication"
    name = "accessToken"
