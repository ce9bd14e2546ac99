"""The contract of sessions: what a socket was subscribed to, and how far its client is known to have received it.

Two stores implement it, `memory` and `redis`, and one test file runs on both. Called by the keeper. It knows no user
model: ids are strings here.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec


class SessionsUnavailable(Exception):
    """The store cannot be reached."""


class Session(msgspec.Struct, frozen=True):
    """`positions` names the streams with the last `seq` that is known to have arrived. `user` is a user key."""

    user: str
    positions: dict[str, int]


class SessionStore(Protocol):
    """All methods raise `SessionsUnavailable`. An instance belongs to one event loop."""

    async def save(self, sessions: Mapping[str, Session]) -> None:
        """Keep sessions by their ids, each for its whole lifetime from now on. A claimed session stays claimed."""
        ...

    async def claim(self, id: str, user: str) -> Session | None:
        """Take over a session: of two callers, only one gets it. None also for another user's session, which stays."""
        ...

    async def close(self) -> None: ...
