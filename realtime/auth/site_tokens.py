"""What a token means is what the site says: its authentication class, and SIMPLE_JWT. Called by `identity` and the API.

Where the site has changed nothing of this, `tokens` and `identity` do the same in batches.
"""

from collections.abc import Iterable
from typing import Any

from rest_framework.settings import api_settings as rest_settings
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken

OUR_OWN = "realtime.api.authentication"  # which asks this module


def find_authentication() -> type[JWTAuthentication] | None:
    """The class that decides about tokens; None if it is simplejwt's, with its own class of access tokens."""
    named: Iterable[Any] = rest_settings.DEFAULT_AUTHENTICATION_CLASSES
    own = [kind for kind in named if issubclass(kind, JWTAuthentication) and kind.__module__ != OUR_OWN]
    kind: type[JWTAuthentication] = own[0] if own else JWTAuthentication
    is_plain = kind is JWTAuthentication and tuple(api_settings.AUTH_TOKEN_CLASSES) == (AccessToken,)
    return None if is_plain else kind
