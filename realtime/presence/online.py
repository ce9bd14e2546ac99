"""Looks up who is online, from any thread or event loop. Called by `manager`, `absence` and the REST views.

A store belongs to one event loop: that of this process's sockets or, if there are none, the bridge's. Each function
has an asynchronous twin with an `a` in front. All raise `StoreUnavailable` while Redis is away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from realtime.conf import settings
from realtime.delivery import bridge
from realtime.presence import open_store
from realtime.presence.store import Entry, PresenceStore, Process, StoreUnavailable

T = TypeVar("T")


class OnlinePage(NamedTuple):
    """Some of the users who are online, in the order in which they came online, and how many there are in all."""

    online_count: int
    entries: list[Entry]


_stores: WeakKeyDictionary[asyncio.AbstractEventLoop, PresenceStore] = WeakKeyDictionary()


def loop_store() -> PresenceStore:
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


def call(work: Coroutine[Any, Any, T]) -> T:
    """`bridge.call` for questions to a store. One that lets callers wait for too long is away, too."""
    try:
        return bridge.call(work)
    except TimeoutError as error:
        raise StoreUnavailable("It does not answer in time") from error


def count() -> int:
    return call(acount())


async def acount() -> int:
    return await _ask(lambda store: store.count())


def page(offset: int, limit: int) -> OnlinePage:
    return call(apage(offset, limit))


async def apage(offset: int, limit: int) -> OnlinePage:
    """A page and the count, in one trip to the loop that owns the store."""

    async def look_up(store: PresenceStore) -> OnlinePage:
        entries = await store.page(offset, limit)
        return OnlinePage(await store.count(), entries)

    return await _ask(look_up)


def newest(limit: int) -> OnlinePage:
    return call(anewest(limit))


async def anewest(limit: int) -> OnlinePage:
    """Those who came online last, the newest first, and the count."""

    async def look_up(store: PresenceStore) -> OnlinePage:
        online_count = await store.count()
        entries = await store.page(max(0, online_count - limit), limit)
        return OnlinePage(online_count, entries[::-1])

    return await _ask(look_up)


def processes(limit: int) -> list[Process]:
    return call(aprocesses(limit))


async def aprocesses(limit: int) -> list[Process]:
    """The processes that serve sockets."""
    return await _ask(lambda store: store.processes(limit))


def page_of(user_keys: Sequence[str], offset: int, limit: int) -> OnlinePage:
    return call(apage_of(user_keys, offset, limit))


async def apage_of(user_keys: Sequence[str], offset: int, limit: int) -> OnlinePage:
    """The same as `apage`, as if there were no other users than these."""

    async def look_up(store: PresenceStore) -> OnlinePage:
        visible = (await store.choose_visible(user_keys)).user_ids
        found = await store.get(visible[offset : offset + limit])
        return OnlinePage(len(visible), [entry for entry in found.values() if entry.online])

    return await _ask(look_up)


def entries(user_keys: Sequence[str]) -> dict[str, Entry]:
    return call(aentries(user_keys))


async def aentries(user_keys: Sequence[str]) -> dict[str, Entry]:
    """Those of the users who are present, by their keys. Users who appear offline are included."""
    return await _ask(lambda store: store.get(user_keys))


async def _ask(question: Callable[[PresenceStore], Awaitable[T]]) -> T:
    """Ask the store of the loop that serves this process's sockets, from whichever loop the caller runs on."""

    async def answer() -> T:
        return await question(loop_store())

    bridge.warn_if_alone("Nobody counts as online")
    home = bridge.home_loop()
    if home is asyncio.get_running_loop():
        return await answer()
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(answer(), home))
