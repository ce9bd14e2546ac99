"""Looks up who has a room open, from any thread. Called by other apps through `integration`, and by `presence.live`.

As in `presence.online`, a store belongs to the event loop of this process's sockets or, without any, to the bridge's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from realtime.auth.user_ids import read_user
from realtime.conf import settings
from realtime.delivery import bridge
from realtime.presence import circuit, online
from realtime.presence.attendance import open_store
from realtime.presence.attendance.store import AttendanceStore
from realtime.protocol.streams import is_room, is_stream

T = TypeVar("T")

# Awaited before each look. Set by `realtime.testing`, where nobody is to wait for a report.
before_look: Callable[[], Awaitable[None]] | None = None

_stores: WeakKeyDictionary[asyncio.AbstractEventLoop, AttendanceStore] = WeakKeyDictionary()


def loop_store() -> AttendanceStore:
    """The running loop's store, opened on first use. All callers must share it, because it may be in memory."""
    loop = asyncio.get_running_loop()
    if loop not in _stores:
        _stores[loop] = open_store(settings())
    return _stores[loop]


def forget_loop_store() -> None:
    """The running loop's store has been closed: the next caller opens another one."""
    _stores.pop(asyncio.get_running_loop(), None)


async def _close_loop_store() -> None:
    if (store := _stores.pop(asyncio.get_running_loop(), None)) is not None:
        await store.close()


bridge.close_at_exit(_close_loop_store)


def find_present(stream: str, users: Iterable[Any]) -> frozenset[Any]:
    """Those of the users, by primary keys, who have the room's stream open on a socket, as of about a second ago.

    Raises ValueError for the name of another stream, and StoreUnavailable.
    """
    if not is_stream(stream) or not is_room(stream):
        raise ValueError(f"The stream of a room is needed, such as room.general, not {stream!r}.")
    by_key = {str(read_user(user)): user for user in users}
    found: set[str] = set()
    for portion in circuit.split(list(by_key)):
        found |= online.call(_find(stream, portion))
    return frozenset(by_key[key] for key in found)


def find_largest(limit: int) -> list[tuple[str, int]]:
    return online.call(_ask(lambda store: store.largest(limit)))


async def afind_largest(limit: int) -> list[tuple[str, int]]:
    """The rooms' streams that are open on the most sockets, with their numbers, as of about a second ago.

    For the loop that serves this process's sockets. Raises StoreUnavailable.
    """
    return await _ask(lambda store: store.largest(limit))


async def _find(stream: str, user_keys: Sequence[str]) -> set[str]:
    return await _ask(lambda store: store.find(stream, user_keys))


async def _ask(question: Callable[[AttendanceStore], Awaitable[T]]) -> T:
    if before_look is not None:
        await before_look()
    return await circuit.ask(lambda: question(loop_store()))
