"""Our server's HTTP: uvicorn's, with a limit for how long the head of a request may take.

It stands beside the layers and works for any ASGI application. uvicorn names it in its configuration, made by `serve`.
"""

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from realtime.conf import settings

LAST_HEAD_SECONDS = 1.0  # for the head of a first request, when the server stops


class TimedHttpProtocol(HttpToolsProtocol):
    """One connection, up to the upgrade of a socket.

    uvicorn has a time-out for the pause between two requests, which ends with the first byte of the next one. It has
    none for a connection that never says anything, nor for a head that comes byte by byte.
    """

    head_timer: TimerHandle | None = None  # while a head is awaited
    in_request = False  # between the end of a head and that of its body
    is_last = False  # whether its first request is its last one, because the server stops

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        # While an answer is being made, or written, more than the connection hangs on the next head.
        if self.head_timer is None and not self.in_request and self.cycle is not None and self.cycle.response_complete:
            self._await_head()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self.in_request = True
        super().on_headers_complete()
        if self.is_last and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self.in_request = False
        super().on_message_complete()

    def shutdown(self) -> None:
        """A first request is answered: it may be under way, from a client that connected before the listener closed."""
        if self.cycle is not None or self.transport.is_closing():
            super().shutdown()
            return
        self.is_last = True
        self._stop_timer()
        self.head_timer = self.loop.call_later(LAST_HEAD_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if seconds := settings().request_head_seconds:
            self.head_timer = self.loop.call_later(seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None
