"""Retention: deletes old events in small chunks. Called by the clock and by `manage.py prune_events`.

The clock of every process calls it, and a lease lets one of them do the work. The last `seq` of each stream stays as
long as its room or user does, so that a position from before the log's oldest event can be recognised.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.utils import timezone

from realtime.conf import settings
from realtime.storage import numbering, pruning
from realtime.storage.database import run
from realtime.storage.leases.store import LeaseStore, LeasesUnavailable

logger = logging.getLogger(__name__)

LEASE = "prune"
# Tries of each process within `prune_seconds`. If the process that pruned has gone, another takes over at the next try.
TRIES = 6
PAUSE_SECONDS = 0.1  # between chunks, so that others can write


class Pruner:
    """Prunes in this process, when no other process has done it recently."""

    def __init__(self, leases: LeaseStore, also: Iterable[Callable[[], object]] = ()) -> None:
        """`also` holds functions that delete other old rows. Each is called on a database thread."""
        self._leases = leases
        self._also = tuple(also)

    @property
    def try_seconds(self) -> float:
        return settings().prune_seconds / TRIES

    async def prune_if_due(self) -> None:
        """Prune, unless any process began to do so less than `prune_seconds` ago. Raises DatabaseUnavailable."""
        conf = settings()
        try:
            # The lease has a random owner and is never released: it only marks the time until the next pruning.
            if not await self._leases.acquire(LEASE, secrets.token_hex(8), conf.prune_seconds):
                return
        except LeasesUnavailable as error:
            logger.debug("Pruning is postponed, the leases are unavailable: %s", error)
            return
        for prune in self._also:
            await run(prune)
        if conf.event_days:
            await _prune_events(_days_ago(conf.event_days))
        await _retire_streams()


async def _prune_events(before: datetime) -> None:
    key: int | None = 0
    while key is not None:
        _deleted, key = await run(pruning.prune, before, key)
        await asyncio.sleep(PAUSE_SECONDS)


async def _retire_streams() -> None:
    name: str | None = ""
    while name is not None:
        _retired, name = await run(numbering.retire, name)
        await asyncio.sleep(PAUSE_SECONDS)


def prune(days: float) -> int:
    """Synchronous. Delete events older than `days` now, and ended streams; returns how many events were deleted."""
    before, total = _days_ago(days), 0
    key: int | None = 0
    while key is not None:
        deleted, key = pruning.prune(before, key)
        total += deleted
        if key is not None:
            time.sleep(PAUSE_SECONDS)
    name: str | None = ""
    while name is not None:
        _retired, name = numbering.retire(name)
    return total


def _days_ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)
