"""Clients of the API."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.contract.rest import judge_answers
from tests.people import client_for


@pytest.fixture
def client(alice: Any) -> APIClient:
    """Alice's."""
    return client_for(alice)


@pytest.fixture
def anybody() -> APIClient:
    """Of somebody who has not logged in."""
    client = APIClient()
    client.default_format = "json"
    return client


@pytest.fixture(autouse=True)
def judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer must be in the OpenAPI document."""
    judge_answers(monkeypatch)
