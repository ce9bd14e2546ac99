"""Accounts and REST clients for tests."""

from typing import Any

from django.contrib.auth import get_user_model
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from realtime.auth import tokens

PASSWORD = "correct horse"


def make_user(name: str, **fields: Any) -> Any:
    return get_user_model().objects.create_user(name, password=PASSWORD, **fields)


def access_for(user: Any) -> AccessToken:
    """An access token of a new login."""
    return tokens.start_session(user).access_token


def client_for(user: Any) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access_for(user)}")
    client.default_format = "json"
    return client
