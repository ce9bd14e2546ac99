"""What a process says to the presence store when it stops, and when the store was away or has forgotten it."""

import pytest

from realtime.conf import settings
from realtime.presence.store import StoreUnavailable
from realtime.presence.tracker import Tracker

pytestmark = pytest.mark.django_db(transaction=True)


class Store:
    """Answers as it is told, and remembers how a process left."""

    def __init__(self, others: int | None) -> None:
        self._others = others
        self.longer_seconds: float | None = None

    async def retire(self, process: str) -> int:
        if self._others is None:
            raise StoreUnavailable
        return self._others

    async def drop(self, process: str, longer_seconds: float) -> None:
        self.longer_seconds = longer_seconds

    async def close(self) -> None:
        return None


class Away:
    """Answers nothing."""

    async def sync(self, process: str, counts: dict[str, int]) -> None:
        raise StoreUnavailable


@pytest.mark.parametrize(("others", "goes_on"), [(0, False), (2, True), (None, True)])
async def test_users_who_can_only_come_back_later_get_more_time(monkeypatch, others, goes_on):
    store = Store(others)
    monkeypatch.setattr("realtime.presence.tracker.open_store", lambda _settings: store)
    tracker = Tracker("p1", announce=lambda _passing: None)
    assert await tracker.has_others() is goes_on
    await tracker.stop()
    assert store.longer_seconds == (0 if goes_on else settings().restart_window_seconds)


async def test_it_remembers_nobody_who_waits_no_longer(monkeypatch):
    """While Redis was away, each socket that was opened left something behind until Redis came back."""
    monkeypatch.setattr("realtime.presence.tracker.PATIENCE_SECONDS", 0.001)
    monkeypatch.setattr("realtime.presence.tracker.open_store", lambda _settings: Away())
    tracker = Tracker("p1", announce=lambda _passing: None)
    for _ in range(3):
        await tracker.arrive("1")
        with pytest.raises(StoreUnavailable):
            await tracker._sync()
    assert tracker._waiting == []
