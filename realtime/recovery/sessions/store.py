"""The contract of sessions: what a socket was subscribed to, and how far its client is known to have received it.

A session that is claimed gets a *successor*, the session of the new socket. Its client may lose that socket before it
knows the successor, and come back with the old id. So the old session can be claimed until the client has confirmed.
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
        """Keep sessions by their ids, each for its whole lifetime from now on. One that was given up stays so."""
        ...

    async def claim(self, id: str, user: str, successor: str) -> Session | None:
        """Continue the session `id` as the session `successor`, which begins as its copy. Returns its content.

        It may be claimed again; who claimed it last decides about its end. None for a session that is not known, was
        given up or is another user's: then nothing changes.
        """
        ...

    async def give_up(self, successors: Mapping[str, str]) -> None:
        """End sessions, given with their successors, for good. One that was claimed again since then stays."""
        ...

    async def close(self) -> None: ...
