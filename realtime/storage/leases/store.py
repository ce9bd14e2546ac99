"""The contract of leases: a name has one owner at a time, until the owner releases it or stops renewing it.

`memory` and `redis` implement it, and one test file runs on both. Used by the scheduler and the pruner.
"""

from typing import Protocol


class LeasesUnavailable(Exception):
    """The store cannot be reached. The call may or may not have taken effect."""


class LeaseStore(Protocol):
    """All methods raise `LeasesUnavailable`. An instance belongs to one event loop."""

    async def acquire(self, name: str, owner: str, seconds: float) -> bool:
        """Acquire `name`, or renew it, for `seconds` from now. Returns False while another owner holds it."""
        ...

    async def release(self, name: str, owner: str) -> None:
        """Release `name` if `owner` holds it; another owner's lease stays."""
        ...

    async def close(self) -> None: ...
