"""Rules that are gone after the test that has declared them."""

from collections import defaultdict
from typing import Any

import pytest

from notifications import types
from notifications.rules import memory, signals


@pytest.fixture(autouse=True)
def own_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_rules", defaultdict(list))
    monkeypatch.setattr(memory, "_watched", defaultdict(dict))
    monkeypatch.setattr(types, "_types", dict(types._types))
    types.register("news", title="%(name)s", message="%(name)s", example={"name": "x"})


@pytest.fixture
def told() -> list[Any]:
    """The occasions that a rule of the test was called with."""
    return []
