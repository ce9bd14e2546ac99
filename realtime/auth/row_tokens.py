"""Tokens that are rows of a table: rest_framework.authtoken, knox, and what the site's TokenAuthentication names.

A login by such a token lasts as long as its row. Asked by `logins`, the API and the signals.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db.models import ForeignKey, Model, Q
from rest_framework.authentication import TokenAuthentication
from rest_framework.settings import api_settings

from realtime.auth.login_names import row_login
from realtime.auth.user_ids import read_id
from realtime.storage.routed import exact

# Models that are defined there, and those that extend them. Neither package has to be installed.
MODULES = {"rest_framework.authtoken.models", "knox.models"}


def known_models() -> list[type[Model]]:
    """The models of tokens of these packages, with proxies, which send signals of their own."""
    return [model for model in apps.get_models() if any(kind.__module__ in MODULES for kind in model.__mro__)]


def find_models() -> tuple[type[Model], ...]:
    """All models of tokens that say whose they are. Of others, nobody knows here whether a login has ended."""
    classes: Iterable[Any] = api_settings.DEFAULT_AUTHENTICATION_CLASSES
    named = [kind.model for kind in classes if issubclass(kind, TokenAuthentication) and kind.model is not None]
    models = {model._meta.concrete_model: None for model in (*known_models(), *named)}
    return tuple(model for model in models if _find_owners(model))


def is_row_of(token: object, user: object) -> bool:
    """Whether what authenticated a request is such a token of this user: it would not be found by another one."""
    return isinstance(token, find_models()) and any(getattr(token, name) == user for name in _find_owners(type(token)))


def is_only_a_token(token: object) -> bool:
    """Whether the row may be deleted to end its login. What else a model of the site's own means, nobody knows here."""
    return isinstance(token, tuple(known_models()))


def name_login(token: Any) -> str:
    model = token._meta.concrete_model
    return row_login(model._meta.label_lower, getattr(token, _find_column(model)))


def find_expiry(token: Any) -> datetime | None:
    """When what authenticated a request expires, as far as it says so: a row in a column, claims in `exp`."""
    if isinstance(token, Mapping):
        ends = token.get("exp")
        return datetime.fromtimestamp(ends, UTC) if isinstance(ends, int | float) else None
    found = [getattr(token, name, None) for name in ("expiry", "expires")]  # of knox, of OAuth Toolkit
    return next((ends for ends in found if isinstance(ends, datetime)), None)


def find_logins(user_keys: Iterable[str]) -> set[str]:
    """The names of the logins by all tokens of these users. Synchronous; one query for each model."""
    pks = [read_id(key) for key in user_keys]
    found = set()
    for model in find_models():
        owned = Q(*((f"{name}__pk__in", pks) for name in _find_owners(model)), _connector=Q.OR)
        rows = exact(model._default_manager).filter(owned).values_list(_find_column(model), flat=True)
        found |= {row_login(model._meta.label_lower, key) for key in rows}
    return found


def _find_owners(model: type[Model]) -> list[str]:
    """The relations to the site's users. Only a model without a class of its own has to call it `user`."""
    users: Any = get_user_model()._meta.concrete_model
    relations: list[Any] = [field for field in model._meta.concrete_fields if isinstance(field, ForeignKey)]
    return [field.name for field in relations if issubclass(users, field.related_model._meta.concrete_model)]


def _find_column(model: type[Model]) -> str:
    """The column that makes a token what it is: REST framework wants a `key`, and knox has a digest as primary key."""
    names = {field.name for field in model._meta.concrete_fields}
    return "key" if "key" in names else model._meta.pk.attname
