"""What several conversations over sockets want."""

from collections.abc import Callable

import pytest

from realtime.delivery import announcer


@pytest.fixture
def announcements(monkeypatch: pytest.MonkeyPatch, configure: Callable[..., None]) -> None:
    """Users are announced to all others, as by default on a site, and announcements wait for no more than a moment."""
    configure(PRESENCE_AUDIENCE="everyone")
    monkeypatch.setattr(announcer, "PAUSE_SECONDS", 0.02)
