"""Records what site code publishes, in synchronous and in asynchronous tests."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from types import TracebackType
from typing import Any

import msgspec

from realtime.delivery.envelopes import Envelope
from realtime.testing import site, transactions
from realtime.testing.frames import Frame, describe, matches, show

Raised = type[BaseException] | None


def published() -> "Recording":
    """`with published() as frames:` lists what site code publishes in the block; in asynchronous code `async with`.

    `frames` is a list of the frames with the names of their streams and, if they are stored, their `seq`s. Inside
    `TestCase` the block also calls what waits for the commit (`transaction.on_commit`). What people say on sockets is
    not listed.
    """
    return Recording()


def assert_published(stream: str, type: str | None = None, /, **values: Any) -> "Recording":
    """Like `published`, and fails at the end of the block if no frame on `stream` has this type and these values.

    Values are looked up in the frame's `data` and in the frame itself.
    """
    return Recording((stream, type, values))


class Recording:
    """What is published from the beginning of the block to its end."""

    def __init__(self, wanted: tuple[str, str | None, dict[str, Any]] | None = None) -> None:
        self.frames: list[Frame] = []
        self._wanted = wanted
        self._stack = ExitStack()  # of a synchronous block
        self._site: AbstractAsyncContextManager[Any] | None = None  # of an asynchronous one

    def __enter__(self) -> list[Frame]:
        if _is_asynchronous():
            raise RuntimeError("Write `async with` in asynchronous code: only then can hooks of a commit be called.")
        with ExitStack() as stack:
            stack.enter_context(site.in_test())
            transactions.begin()
            site.recorders.append(self.record)
            self._stack = stack.pop_all()
        return self.frames

    def __exit__(self, kind: Raised, error: BaseException | None, traceback: TracebackType | None) -> None:
        with self._stack:
            try:
                if error is None:
                    transactions.run_hooks()
            finally:
                site.recorders.remove(self.record)
        self._check(error)

    async def __aenter__(self) -> list[Frame]:
        self._site = site.open_site()
        await self._site.__aenter__()
        site.recorders.append(self.record)
        return self.frames

    async def __aexit__(self, kind: Raised, error: BaseException | None, traceback: TracebackType | None) -> None:
        assert self._site is not None
        try:
            if error is None:
                await site.settle_hooks()
        finally:
            site.recorders.remove(self.record)
            await self._site.__aexit__(kind, error, traceback)
        self._check(error)

    def record(self, envelope: Envelope) -> None:
        self.frames += frames_of(envelope)

    def _check(self, error: BaseException | None) -> None:
        if error is not None or self._wanted is None:
            return
        stream, type, values = self._wanted
        if not any(frame.get("stream") == stream and matches(frame, type, values) for frame in self.frames):
            wanted = describe(type, values)
            raise AssertionError(f"Not published on {stream!r}: {wanted}. Published was:{show(self.frames)}")


def frames_of(envelope: Envelope) -> Iterator[Frame]:
    for stream, seq, body in envelope.events:
        yield {**msgspec.json.decode(body), "stream": stream, "seq": seq}
    for passing in envelope.passing:
        yield {**msgspec.json.decode(passing.body), "stream": passing.stream}


def _is_asynchronous() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
