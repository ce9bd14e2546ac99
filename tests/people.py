"""Accounts and REST clients for tests."""

from typing import Any
from uuid import uuid4

from django.contrib.auth import get_user_model
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from realtime.auth import tokens

PASSWORD = "correct horse"
# No row has it. One with a small number may, late in a long run.
NO_KEY = 2_000_000_000


def make_user(name: str, **fields: Any) -> Any:
    return get_user_model().objects.create_user(name, password=PASSWORD, **fields)


def access_for(user: Any) -> AccessToken:
    """An access token of a new login."""
    return tokens.start_login(user).access_token


def make_token(user: Any, **claims: Any) -> str:
    """An access token of a new login. Nothing is stored, so it can be made on an event loop."""
    access = AccessToken.for_user(user)
    for name, value in {"realtime_login": uuid4().hex, **claims}.items():
        access[name] = value
    return str(access)


def client_for(user: Any) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access_for(user)}")
    client.default_format = "json"
    return client
