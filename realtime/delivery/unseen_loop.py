"""The event loop of the bridge: it can live on a thread of its own, and as one of the greenlets of gevent.

Made by the bridge. It is asyncio's own loop but for what it waits with.
"""

import asyncio
import os
import selectors
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Forked(BaseException):
    """The loop runs on in a new process, as greenlets do. It belongs to the parent, and so do its connections."""


class UnseenLoop(asyncio.SelectorEventLoop):
    """An event loop that counts as running only while it does something, and not while it waits.

    gevent makes greenlets of all threads, in one real thread. There, whatever runs while this loop waits would be taken
    for asynchronous code, in which Django refuses to use the database.
    """

    def __init__(self) -> None:
        self._made_in = os.getpid()
        # What counts as running while this loop waits: None, or a loop in another greenlet.
        self._other: asyncio.AbstractEventLoop | None = None
        self._io = make_selector()
        self._wait_for_io = self._io.select
        vars(self._io)["select"] = self._wait
        super().__init__(self._io)

    def run_forever(self) -> None:
        """Ends by itself in a new process, if it goes on there at all."""
        self._other = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            super().run_forever()
        except Forked:
            for key in list(self._io.get_map().values()):
                self._io.unregister(key.fileobj)  # which gevent would go on watching
        finally:
            asyncio._set_running_loop(self._other)

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        with self._unseen():  # it waits until a thread has started
            return super().run_in_executor(executor, func, *args)

    def _wait(self, timeout: float | None = None) -> Any:
        with self._unseen():
            ready = self._wait_for_io(timeout)
        if os.getpid() != self._made_in:
            raise Forked
        return ready

    @contextmanager
    def _unseen(self) -> Iterator[None]:
        asyncio._set_running_loop(self._other)
        try:
            yield
        finally:
            self._other = asyncio._get_running_loop()
            asyncio._set_running_loop(self)


def make_selector() -> selectors.BaseSelector:
    """The default one, but not epoll: what is registered there would be shared with processes that are forked."""
    kind = selectors.DefaultSelector
    is_epoll = kind is getattr(selectors, "EpollSelector", None)
    return selectors.PollSelector() if is_epoll else kind()
