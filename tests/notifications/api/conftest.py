"""Bob's inbox, and clients of the API."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from notifications import followables, types
from tests.people import client_for
from tests.shop.models import Item

PATH = "/api/v1/notifications"


@pytest.fixture
def client(bob: Any) -> APIClient:
    """Bob's."""
    return client_for(bob)


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Types and followable models that a test registers are gone after it."""
    monkeypatch.setattr(types, "_types", dict(types._types))
    monkeypatch.setattr(followables, "_followables", dict(followables._followables))


@pytest.fixture
def own_items(registries: None) -> None:
    """Users may follow the items that they own."""
    followables.register_followable("shop.Item", visible_to=lambda user: Item.objects.filter(owner=user.pk))


@pytest.fixture
def invitation(registries: None) -> None:
    """A type with two actions."""
    actions = [types.Action("accept", "Accept"), types.Action("decline", "Decline", "/no")]
    types.register("invitation", title="Invitation", message="Come!", actions=actions)
