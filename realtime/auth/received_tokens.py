"""Tokens that come from clients: verified by simplejwt, with patience for a machine whose clock is ahead.

Made by `tokens`. simplejwt refuses a token that was issued in the future, even by a second.
"""

from copy import copy
from datetime import timedelta
from functools import cache
from typing import Any

from jwt import ImmatureSignatureError
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

# How far the clock of the machine that issued a token may be ahead of ours. SIMPLE_JWT["LEEWAY"] can allow more.
CLOCK_SKEW = timedelta(seconds=10)


class SkewedBackend(TokenBackend):
    """simplejwt's backend, which here also accepts a token whose time (`iat`, `nbf`) is about to come.

    The end of a token (`exp`) is checked as simplejwt does, with its LEEWAY alone.
    """

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        try:
            return super().decode(token, verify)
        except TokenBackendError as error:
            if not isinstance(error.__cause__, ImmatureSignatureError):
                raise
        # The token checks its end itself when it has been decoded: against the leeway of this backend, not of the copy.
        patient = copy(self)
        patient.leeway = max(self.get_leeway(), CLOCK_SKEW)
        return TokenBackend.decode(patient, token, verify)


@cache
def skewed_backend() -> SkewedBackend:
    return SkewedBackend(
        api_settings.ALGORITHM,
        api_settings.SIGNING_KEY,
        api_settings.VERIFYING_KEY,
        api_settings.AUDIENCE,
        api_settings.ISSUER,
        api_settings.JWK_URL,
        api_settings.LEEWAY,
        api_settings.JSON_ENCODER,
    )


class Received:
    """A token that came from a client. It may have been issued by another machine."""

    def get_token_backend(self) -> SkewedBackend:
        return skewed_backend()


class ReceivedAccess(Received, AccessToken):
    pass


class ReceivedRefresh(Received, RefreshToken):  # type: ignore[misc]  # simplejwt's own bases disagree
    pass
