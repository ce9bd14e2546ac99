"""What reads a login and a renewal: the serializers that SIMPLE_JWT names, extended. Called by the views and throttles.

A site's own may demand more than a password, refuse some users, or add claims.
"""

from functools import cache
from typing import Any

from django.http import Http404
from django.utils.module_loading import import_string
from rest_framework_simplejwt.serializers import TokenObtainSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.settings import DEFAULTS, api_settings
from rest_framework_simplejwt.tokens import RefreshToken

from realtime.api.serializers import LoginNames, RefreshShape
from realtime.auth.site_tokens import accepts_access
from realtime.auth.tokens import RotatedToken


def find_login_shape() -> Any:
    """The class that reads a login. Raises Http404 where the site accepts no tokens that it could give."""
    return _extend_login(_find("TOKEN_OBTAIN_SERIALIZER"))


def find_refresh_shape() -> Any:
    """The class that reads a renewal. Raises Http404 as for a login."""
    return _extend_refresh(_find("TOKEN_REFRESH_SERIALIZER"))


def _find(setting: str) -> Any:
    path = getattr(api_settings, setting)
    if path == DEFAULTS[setting] and not accepts_access():
        raise Http404
    return import_string(path)


@cache
def _extend_login(kind: Any) -> Any:
    """Ours comes last but for simplejwt's: so it gets what the site's class passes on, and the site has the last word.

    A class that is not derived from simplejwt's knows for itself what a login is.
    """
    if not issubclass(kind, TokenObtainSerializer):
        return kind
    return LoginNames if issubclass(LoginNames, kind) else type(kind.__name__, (kind, LoginNames), {})


@cache
def _extend_refresh(kind: Any) -> Any:
    """The same for a renewal, also where the site's class has a class of tokens of its own."""
    if not issubclass(kind, TokenRefreshSerializer):
        return kind
    if issubclass(RefreshShape, kind):
        return RefreshShape
    fields: Any = RefreshShape._declared_fields
    # A field that the site's class has removed, because it reads a cookie, would come back with ours.
    removed = dict.fromkeys(fields.keys() - kind._declared_fields.keys())
    return type(kind.__name__, (kind, RefreshShape), {**removed, "token_class": _extend_token(kind.token_class)})


def _extend_token(kind: Any) -> Any:
    if issubclass(RotatedToken, kind) or not issubclass(kind, RefreshToken):
        return RotatedToken
    return type(kind.__name__, (RotatedToken, kind), {})
