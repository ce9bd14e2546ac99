"""The contract of sessions: what a socket was subscribed to and how far it is known to have got.

Two stores keep it, `memory` and `redis`, and one test file runs on both. Called by the keeper. It knows no user model:
ids are strings here.
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
        """Keep sessions by their ids, each from now on for its whole life; one that was claimed stays claimed."""
        ...

    async def claim(self, id: str, user: str) -> Session | None:
        """Take a session over: of two that try, one gets it. None as well for another user's, which stays."""
        ...

    async def close(self) -> None: ...
