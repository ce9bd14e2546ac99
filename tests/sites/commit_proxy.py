"""A proxy before PostgreSQL that cuts a connection at its COMMIT, as a network or a failover can."""

import asyncio
import contextlib
from typing import Any, Literal, Self

import pytest
from django.db import connections

from tests.sites.tcp_proxy import Proxy, pass_on


class CommitProxy(Proxy):
    """Between Django and its database. It passes everything until `lose` is set, which is for the next COMMIT alone.

    `lose` is what gets lost: the `answer` of a COMMIT that was executed; the `request`, so that the server rolls back;
    or nothing but the connection, when the request arrives `late`, after `release` was set.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._database: Any = connections.settings["default"]
        super().__init__(int(self._database["PORT"] or 5432))
        self._monkeypatch = monkeypatch
        self.lose: Literal["answer", "request", "late"] | None = None
        self.release = asyncio.Event()
        self.goes_away = False  # whether new connections are refused once something was lost
        self._is_away = False

    async def __aenter__(self) -> Self:
        """From now on, new connections of Django go through the proxy; without TLS, which would hide the COMMIT."""
        await super().__aenter__()
        self._monkeypatch.setitem(self._database, "PORT", str(self.port))
        self._monkeypatch.setenv("PGSSLMODE", "disable")
        self._monkeypatch.setenv("PGGSSENCMODE", "disable")
        return self

    def come_back(self) -> None:
        self._is_away = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_away:
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, far_writer]
        self._pumps.add(asyncio.create_task(self._pass_both(reader, writer, far_reader, far_writer)))

    async def _pass_both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        answers = asyncio.create_task(pass_on(far_reader, writer))
        try:
            request = await self._pass_requests(reader, far_writer)
        finally:
            answers.cancel()
            await asyncio.wait([answers])
        if not request:
            far_writer.close()
            return
        lost, self.lose, self._is_away = self.lose, None, self.goes_away
        if lost == "late":
            writer.transport.abort()
            await self.release.wait()
        if lost != "request":
            far_writer.write(request)
            await far_reader.read(65_536)
        writer.transport.abort()
        far_writer.close()

    async def _pass_requests(self, reader: asyncio.StreamReader, far_writer: asyncio.StreamWriter) -> bytes:
        """Pass requests until one is to be lost. Returns that one; nothing if the client has closed."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if self.lose is not None and b"COMMIT\0" in data:
                    return data
                far_writer.write(data)
        return b""
