"""What several conversations over sockets want."""

import pytest

from realtime.delivery import announcer


@pytest.fixture
def quick_announcements(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is announced together waits for no more than a moment."""
    monkeypatch.setattr(announcer, "PAUSE_SECONDS", 0.02)
