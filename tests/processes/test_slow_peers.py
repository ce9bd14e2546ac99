"""Connections to `serve` on which a request does not come, or not in time. Those in time: tests/server/test_http.py."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.sites.cluster import hanging
from tests.sites.processes import Site, SiteProcess

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("logs")]

HEAD_SECONDS = 2.0
PAUSE_SECONDS = 0.1  # between two bytes of somebody who is slow
HEAD = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n"
REQUEST = HEAD + b"\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(scope="module")
def process(new_database) -> Iterator[SiteProcess]:
    site = Site(SQLITE_PATH=new_database())
    site.configure(REQUEST_HEAD_SECONDS=HEAD_SECONDS)
    with site.process() as started:
        yield started


@contextlib.asynccontextmanager
async def connected(process: SiteProcess) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    """One byte after the other, until nobody takes them any more."""
    with contextlib.suppress(OSError):
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(PAUSE_SECONDS)


async def require_end(streams: Streams, sent: bytes, started: float) -> None:
    """The server says nothing and closes when the time for a head is over, which did not begin before `started`."""
    reader, writer = streams
    dripping = asyncio.create_task(drip(writer, sent))
    with contextlib.suppress(ConnectionError):  # bytes that come after the end are answered so
        assert await asyncio.wait_for(reader.read(), PATIENCE_SECONDS) == b""
    assert time.monotonic() - started > HEAD_SECONDS * 0.9
    dripping.cancel()


async def answer(streams: Streams) -> bytes:
    """The status line of the answer, which is read to its end."""
    reader, _ = streams
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_SECONDS)
    length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
    await asyncio.wait_for(reader.readexactly(int(length.split(b":")[1])), PATIENCE_SECONDS)
    return head.splitlines()[0]


@pytest.mark.parametrize("sent", [b"", HEAD * 10, b"\r\n" * 50], ids=["nothing", "a head byte by byte", "empty lines"])
async def test_it_closes_when_no_request_comes(process, sent):
    started = time.monotonic()
    async with connected(process) as streams:
        await require_end(streams, sent, started)


@pytest.mark.parametrize("sent", [HEAD * 10, b"\r\n" * 50], ids=["a head byte by byte", "empty lines"])
async def test_it_closes_when_the_next_request_does_not_come_to_its_end(process, sent):
    async with contextlib.AsyncExitStack() as stack:
        async with hanging(process):  # it meets the first request together with the connection, however late that is
            streams = await stack.enter_async_context(connected(process))
            streams[1].write(REQUEST)
        assert b" 200 " in await answer(streams)
        await require_end(streams, sent, time.monotonic())
