"""Our server's HTTP protocol: uvicorn's, with a limit for how long the head of a request may take.

It works for any ASGI application. `serve` names it in the configuration that it makes for uvicorn.
"""

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from realtime.conf import settings

# How long a connection without a request may take to send the head of one, while the server stops.
LAST_HEAD_SECONDS = 1.0


class TimedHttpProtocol(HttpToolsProtocol):
    """One connection, until it is upgraded to a socket.

    uvicorn has a time-out for the pause between two requests, which ends with the first byte of the next one. It has
    none for a client that connects and sends nothing, nor for a head that arrives byte by byte.
    """

    head_timer: TimerHandle | None = None  # while we wait for a head
    in_request = False  # from the end of a head to the end of its body
    is_last = False  # the next request is the last one, because the server stops

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        # Only between two requests: while a response is made or written, closing the connection would cut it off.
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
        """Still answer a first request: it may come from a client that connected before the listener closed."""
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
