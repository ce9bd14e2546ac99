"""One client's way to the servers: a port that leads where the client wants, and breaks where the plan wants."""

import asyncio
import contextlib
from typing import Self

FOREVER = float("inf")


class Road:
    """Passes bytes between its own port and `target`, one direction at a time in each of two tasks."""

    def __init__(self) -> None:
        self.target = 0  # the port that a new connection leads to
        self.port = 0
        self._lines: set[Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()  # one for each connection
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    @property
    def is_taken(self) -> bool:
        """Whether anybody is on it, to be disturbed."""
        return bool(self._lines)

    def abort(self) -> None:
        """End all connections at once."""
        for line in tuple(self._lines):
            line.abort()

    def cut(self, after_bytes: int, *, upwards: bool) -> None:
        """End them when so many bytes more have passed in one direction: in the middle of a frame, as it happens."""
        for line in tuple(self._lines):
            if after_bytes:
                line.left[upwards] = after_bytes
            else:
                line.abort()

    def slow(self, seconds: float, delay_ms: int) -> None:
        """Everything is late for a while."""
        for line in self._lines:
            line.delay_seconds = delay_ms / 1000
            line.delayed_until = now() + seconds

    def hang(self, seconds: float = FOREVER) -> None:
        """Nothing passes for a while, in neither direction, and nobody is told."""
        for line in self._lines:
            line.hanging_until = now() + seconds

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._lead(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        line = Line(writer, far_writer)
        self._lines.add(line)
        try:
            await asyncio.gather(line.carry(reader, far_writer, upwards=True), line.carry(far_reader, writer))
        finally:
            line.abort()
            self._lines.discard(line)


class Line:
    """One connection. `left` counts the bytes that still pass in the directions (down, up), None for all of them."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self.left: list[int | None] = [None, None]
        self.delay_seconds = 0.0
        self.delayed_until = 0.0
        self.hanging_until = 0.0
        self._writers = writers
        self._aborted = asyncio.Event()

    def abort(self) -> None:
        self._aborted.set()
        for writer in self._writers:
            writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, upwards: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._be_late()
                left = self.left[upwards]
                if left is not None:
                    data = data[:left]
                    self.left[upwards] = left - len(data)
                writer.write(data)
                if self.left[upwards] == 0:
                    await self._flush_and_abort(writer)
                    return
                await writer.drain()
        if not self._aborted.is_set() and writer.can_write_eof():
            with contextlib.suppress(OSError):
                writer.write_eof()

    async def _be_late(self) -> None:
        if now() < self.delayed_until:
            await self._pause(self.delay_seconds)
        while now() < self.hanging_until and not self._aborted.is_set():
            await self._pause(self.hanging_until - now())

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if seconds == FOREVER else seconds):
                await self._aborted.wait()

    async def _flush_and_abort(self, writer: asyncio.StreamWriter) -> None:
        """The part of a frame that passed is to arrive: an abort would take back what waits to be written."""
        writer.transport.set_write_buffer_limits(high=0)
        await writer.drain()
        await asyncio.sleep(0.01)  # a reset overtakes what the other side has not read yet
        self.abort()


def now() -> float:
    return asyncio.get_running_loop().time()
