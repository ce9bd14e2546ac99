"""How long events are kept: deletes old ones in small portions, and tickets that nobody used.

Called by the pulse of every process, of which one does it, and by `manage.py prune_events`. A stream's last `seq`
stays, so a position older than the log is known as such.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.utils import timezone

from realtime.conf import settings
from realtime.storage import log
from realtime.storage.database import run
from realtime.storage.leases.store import LeaseStore, LeasesUnavailable

logger = logging.getLogger(__name__)

LEASE = "prune"
TRIES = 6  # in `prune_seconds`: so late at most another process takes over from one that is gone
PAUSE_SECONDS = 0.1  # between portions, for those who write


class Pruner:
    """This process's tries to be the one that prunes."""

    def __init__(self, leases: LeaseStore, also: Iterable[Callable[[], object]] = ()) -> None:
        """`also` holds what else deletes what is too old, each called on a database thread."""
        self._leases = leases
        self._also = tuple(also)

    @property
    def try_seconds(self) -> float:
        return settings().prune_seconds / TRIES

    async def prune_if_due(self) -> None:
        """Prune, unless that was begun less than `prune_seconds` ago on any process. Raises DatabaseUnavailable."""
        conf = settings()
        try:
            # Nobody's own lease, and never given back: it stands for the time in which nobody prunes again.
            if not await self._leases.acquire(LEASE, secrets.token_hex(8), conf.prune_seconds):
                return
        except LeasesUnavailable as error:
            logger.debug("Pruning has to wait: %s", error)
            return
        for prune in self._also:
            await run(prune)
        if conf.event_days:
            await _prune_events(_days_ago(conf.event_days))


async def _prune_events(before: datetime) -> None:
    key: int | None = 0
    while key is not None:
        _deleted, key = await run(log.prune, before, key)
        await asyncio.sleep(PAUSE_SECONDS)


def prune(days: float) -> int:
    """Synchronous. Delete events older than `days` now; returns how many."""
    before, total = _days_ago(days), 0
    key: int | None = 0
    while key is not None:
        deleted, key = log.prune(before, key)
        total += deleted
        if key is not None:
            time.sleep(PAUSE_SECONDS)
    return total


def _days_ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)
