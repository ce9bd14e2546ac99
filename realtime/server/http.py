"""Our server's HTTP protocol: uvicorn's, with limits for the head of a request, and the only parser of a handshake.

It works for any ASGI application. `serve` names it in the configuration that it makes for uvicorn, together with
`RealtimeProtocol`, which gets handshakes as they were parsed here.
"""

from asyncio import TimerHandle, Transport
from collections.abc import Sized
from http import HTTPStatus

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from websockets.datastructures import Headers
from websockets.http11 import Request

from realtime.conf import settings
from realtime.server.scope_keys import IS_STOPPING
from realtime.server.websocket import RealtimeProtocol

# How long a connection without a request may take to send the head of one, while the server stops.
LAST_HEAD_SECONDS = 1.0
# How long a refused client may take to read why. Closing at once would reset the connection if it is still sending.
REFUSAL_SECONDS = 2.0
# nginx has 8 KB for the first line and 32 KB for all headers, if its `large_client_header_buffers` are the default.
MAX_TARGET_BYTES = 16_384
MAX_HEADERS_BYTES = 32_768
MAX_HEADERS = 128


class RefusedRequest(Exception):
    """Raised in a callback of the parser, which then stops."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class PatientFlow(FlowControl):
    """uvicorn's, but nothing is read while requests wait for the answers to those before them.

    uvicorn reads on whenever one of them is answered, or waits for its client: thousands more would begin to wait.
    """

    def __init__(self, transport: Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting:
            super().resume_reading()


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection, until it is upgraded to a socket.

    uvicorn has a time-out for the pause between two requests, which ends with the first byte of the next one. It has
    none for a client that connects and sends nothing, nor for a head that arrives byte by byte, and no limit for the
    size of a head.
    """

    head_timer: TimerHandle | None = None  # while we wait for a head, or for a refused client to read the answer
    in_request = False  # from the end of a head to the end of its body
    is_last = False  # the next request is the last one, because the server stops
    is_refused = False  # what still comes is dropped
    running: RequestResponseCycle | None = None  # the request that is being answered; `cycle` is the newest one
    # Of the current request, with the trailers of its body.
    headers_count = headers_bytes = 0
    unreported_bytes = 0  # received since the parser last called back, so it may have kept them

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        super().connection_made(transport)
        self.flow = PatientFlow(transport, self.pipeline)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        # Only between two requests: while a response is made or written, closing the connection would cut it off.
        if self.head_timer is None and not self.in_request and self.cycle is not None and self.cycle.response_complete:
            self._await_head()
        while data and not self.is_refused:
            data = self._parse(data)

    def _parse(self, data: bytes) -> bytes:
        """Returns what follows a request whose upgrade is ignored."""
        self.unreported_bytes += len(data)
        try:
            self.parser.feed_data(data)
            if self.unreported_bytes > MAX_HEADERS_BYTES:
                raise RefusedRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        except httptools.HttpParserUpgrade as upgrade:
            return self._upgrade(data[upgrade.args[0] :])
        except (httptools.HttpParserError, RefusedRequest) as error:
            cause = error.__context__ if isinstance(error, httptools.HttpParserError) else error
            self._refuse(cause.status if isinstance(cause, RefusedRequest) else HTTPStatus.BAD_REQUEST)
        return b""

    # What the parser calls

    def on_message_begin(self) -> None:
        self.headers_count = self.headers_bytes = self.unreported_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self.unreported_bytes = 0
        super().on_url(url)
        if len(self.url) > MAX_TARGET_BYTES:
            raise RefusedRequest(HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.unreported_bytes = 0
        # Else it is a trailer, which counts and is dropped (RFC 9110 §6.5.1). uvicorn would add it to the headers, and
        # Django reads these after the body. A proxy that sets or checks headers may pass trailers on as they are.
        if not self.in_request:
            super().on_header(name, value)
        self.headers_count += 1
        self.headers_bytes += len(name) + len(value)
        if self.headers_bytes > MAX_HEADERS_BYTES or self.headers_count > MAX_HEADERS:
            raise RefusedRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self.unreported_bytes = 0
        # Checked here, because the parser would read all of the body before it reports the upgrade.
        if self.parser.should_upgrade() and self._should_upgrade() and has_body(self.headers):
            raise RefusedRequest(HTTPStatus.BAD_REQUEST)
        super().on_headers_complete()
        if not self.pipeline:
            self.running = self.cycle
        self.in_request = True  # not before: what is refused there must not look like a part of the request before it
        if self.is_last and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self.unreported_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.in_request = False
        self.unreported_bytes = 0
        super().on_message_complete()

    # What uvicorn calls

    def on_response_complete(self) -> None:
        if self.pipeline:
            self.running = self.pipeline[-1][0]
        super().on_response_complete()

    def shutdown(self) -> None:
        """Still answer a first request: it may come from a client that connected before the listener closed."""
        if self.is_refused and not self.is_answering:
            self.transport.close()
            return
        if self.cycle is not None or self.transport.is_closing():
            super().shutdown()
            return
        self.is_last = True
        self._stop_timer()
        self.head_timer = self.loop.call_later(LAST_HEAD_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        # uvicorn tells only the newest request, which may wait for the answer to this one.
        if self.running is not None and not self.running.response_complete:
            self.running.disconnected = True
            self.running.message_event.set()
        super().connection_lost(exc)

    @property
    def is_answering(self) -> bool:
        """Whether the answer to a request is not complete."""
        return self.cycle is not None and not self.cycle.response_complete

    def _upgrade(self, rest: bytes) -> bytes:
        """Hand the connection over to a socket. `rest` was received together with the handshake."""
        if not self._should_upgrade():
            self._unsupported_upgrade_warning()
            # RFC 9110 §7.8: such an upgrade is ignored, so what follows is the next request.
            return rest
        if self.is_answering:
            # The client did not wait for the answer to the request before. It would be written into the socket.
            self._end_after_answer()
            return b""
        # The client does not read, and the socket would not learn that its transport is full.
        if self.flow.write_paused:
            self._refuse(HTTPStatus.BAD_REQUEST)
            return b""
        try:
            request = make_request(self.scope["method"], self.url, self.parser.get_http_version(), self.headers)
        except (ValueError, httptools.HttpParserError):
            self._refuse(HTTPStatus.BAD_REQUEST)
            return b""
        self._open_socket(request, rest)
        return b""

    def _open_socket(self, request: Request, rest: bytes) -> None:
        self.connections.discard(self)
        # It refers to this object, and both would wait for the garbage collector.
        self.parser = None  # type: ignore[assignment]
        # Also in a worker that is only replaced: this socket comes after those that were told that it stops.
        app_state = {**self.app_state, IS_STOPPING: lambda: True} if self.is_last else self.app_state
        socket = RealtimeProtocol(config=self.config, server_state=self.server_state, app_state=app_state)
        socket.connection_made(self.transport)
        self.transport.set_protocol(socket)
        socket.shake_hands(request)
        if rest:
            socket.data_received(rest)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer a request that cannot be read, and close the connection."""
        self.logger.warning("Invalid HTTP request received (%d %s).", status, status.phrase)
        if self.is_answering and not self.in_request:
            self._end_after_answer()
            return
        self.is_refused = True
        if self.is_answering:
            # The rest of the request's body cannot be read, so the application never gets it.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started or self.pipeline:
                self.transport.close()
                return
        text = status.phrase.encode()
        head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head % len(text) + text)
        self._close_gently()

    def _end_after_answer(self) -> None:
        """Drop what comes now. The answer that is being made is the last one."""
        self.is_refused = True
        self.cycle.keep_alive = False

    def _close_gently(self) -> None:
        self._stop_timer()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.head_timer = self.loop.call_later(REFUSAL_SECONDS, self.transport.abort)
        else:
            self.transport.close()

    def _await_head(self) -> None:
        if seconds := settings().request_head_seconds:
            self.head_timer = self.loop.call_later(seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None


def has_body(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")) for name, value in headers
    )


def make_request(method: str, url: bytes, version: str, headers: list[tuple[bytes, bytes]]) -> Request:
    """The handshake for `websockets`, as its own parser would return it. Raises for an address that is not valid."""
    parts = httptools.parse_url(url)
    target = (parts.path or b"/") + (b"?" + parts.query if parts.query else b"")
    decoded = Headers()
    for name, value in headers:
        # The values were checked by the parser.
        decoded.set_insecure(name.decode("ascii"), value.decode("latin-1"))
    return Request(target.decode("ascii"), decoded, method, f"HTTP/{version}")
