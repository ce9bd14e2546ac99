"""Whether all processes could report to the presence store lately, as far as one of them can tell. Used by the tracker.

While the store is away, full or read-only, no process can report. Leases end then and grace times run out, but that
says nothing about the users. So nobody is counted out before the store has taken reports for the time of a lease again.
"""

import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)

# Between two reports. A shorter pause may be that of a busy process.
HANG_SECONDS = 3
REPORT_SECONDS = 1.0


def report_seconds(lease_seconds: float) -> float:
    """How often a process looks what it has to report. The lease of one that looked less often would end in between."""
    return min(REPORT_SECONDS, lease_seconds / 3)


class StoreHealth:
    """What one process knows of the store, with the time of `clock` in seconds."""

    def __init__(self, lease_seconds: float, clock: Callable[[], float]) -> None:
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._started_at = self._heard_at = clock()
        self._refused_at = float("-inf")
        self._is_away = False

    def note_report(self) -> None:
        """The store has taken a report. A long time since the last one counts as a refusal: the store, or all, hung."""
        if self._has_hung():
            self._refused_at = self._clock()
        self._heard_at = self._clock()
        # Longer than the pause between two renewals. A store that is full takes reports of those who leave.
        if self._is_away and self._clock() - self._refused_at >= self._lease_seconds / 2:
            self._is_away = False
            logger.info("The presence store is available")

    def _has_hung(self) -> bool:
        return self._clock() - self._heard_at > max(self._lease_seconds / 2, HANG_SECONDS)

    def note_refusal(self, why: object) -> None:
        """The store was away, or refused a report. Its first refusal is logged, and that it takes reports again."""
        self._refused_at = self._clock()
        if not self._is_away:
            self._is_away = True
            logger.warning("The presence store is away: %s", why)

    def may_remove_users(self) -> bool:
        """Whether a grace time that is over means something."""
        # A process that stood still may ask this before its next report.
        return not self._has_hung() and self._clock() - self._refused_at >= self._lease_seconds

    def may_remove_processes(self) -> bool:
        """Whether a lease that has ended means something. A process that has just started does not know that."""
        return self.may_remove_users() and self._clock() - self._started_at >= self._lease_seconds
