"""What a token means is what the site says: its authentication class, and SIMPLE_JWT. Called by `identity` and the API.

Where the site has changed nothing of this, `tokens` and `identity` do the same in batches.
"""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import MultipleObjectsReturned, ValidationError
from rest_framework.settings import api_settings as rest_settings
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, UntypedToken

OUR_OWN = "realtime.api.authentication"  # which asks this module

# What simplejwt raises when the token's user id is not of the type of the site's field, or belongs to several users.
NOT_AN_ID = (ValueError, ValidationError, MultipleObjectsReturned)


def find_authentication() -> type[JWTAuthentication] | None:
    """The class that decides about tokens; None if it is simplejwt's, with its own class of access tokens."""
    named: Iterable[Any] = rest_settings.DEFAULT_AUTHENTICATION_CLASSES
    own = [kind for kind in named if issubclass(kind, JWTAuthentication) and kind.__module__ != OUR_OWN]
    kind: type[JWTAuthentication] = own[0] if own else JWTAuthentication
    is_plain = kind is JWTAuthentication and tuple(api_settings.AUTH_TOKEN_CLASSES) == (AccessToken,)
    return None if is_plain else kind


def changes_validation(kind: type[JWTAuthentication]) -> bool:
    """Whether the site decides which tokens are valid, and not only where they are or whose."""
    own = kind.get_validated_token is not JWTAuthentication.get_validated_token
    return own or tuple(api_settings.AUTH_TOKEN_CLASSES) != (AccessToken,)


def accepts_access() -> bool:
    """Whether the site accepts the access tokens of simplejwt's pairs. One with sliding tokens alone does not."""
    kinds = [kind.token_type for kind in api_settings.AUTH_TOKEN_CLASSES]
    return AccessToken.token_type in kinds or UntypedToken.token_type in kinds


def look_up(authentication: JWTAuthentication, user: Any, token: Any) -> Any:
    """The user whom the site's class has found: the stored one, also where the class believes the token alone.

    Such a class (`JWTStatelessUserAuthentication`) returns a user without a password, whose key is what the token says.
    """
    if not isinstance(user, api_settings.TOKEN_USER_CLASS):
        return user
    return JWTAuthentication.get_user(authentication, token)
