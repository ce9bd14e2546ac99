"""The contract of leases: a name belongs to one owner at a time, until the owner gives it back or stops renewing.

Two stores keep it, `memory` and `redis`, and one test file runs on both. Called by the ticker and by the pruner.
"""

from typing import Protocol


class LeasesUnavailable(Exception):
    """The store cannot be reached. What was asked may or may not have happened."""


class LeaseStore(Protocol):
    """All methods raise `LeasesUnavailable`. An instance belongs to one event loop."""

    async def acquire(self, name: str, owner: str, seconds: float) -> bool:
        """Own `name` for that long from now on, also when it is one's own already. False while somebody else does."""
        ...

    async def release(self, name: str, owner: str) -> None:
        """Give one's own back; somebody else's stays."""
        ...

    async def close(self) -> None: ...
