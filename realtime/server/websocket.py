"""Our server's WebSocket protocol: uvicorn's, plus direct writes, minus what an open socket does not need.

It works for any ASGI application. The consumer finds it in `scope["extensions"]` under EXTENSION, takes the socket
over and returns: from then on a socket costs no task, no queue and no scope.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import frames
from websockets.http11 import Request
from websockets.protocol import Protocol

from realtime.protocol.errors import CloseCode
from realtime.protocol.frames import Disconnect, encode
from realtime.protocol.limits import TokenBucket
from realtime.protocol.outgoing import Frame

EXTENSION = "realtime.transport"
# The key in `scope["state"]`, under our server only, of a function that returns whether the server is stopping.
IS_STOPPING = "realtime.is_stopping"
# How long a client should wait whose socket was being opened when the server began to stop.
RETRY_MS = 500
TOO_LARGE = Disconnect(CloseCode.TOO_BIG, "FRAME_TOO_LARGE", reconnect=False, retry_after_ms=0)
RESTARTING = Disconnect(CloseCode.RESTARTING, "RESTARTING", reconnect=True, retry_after_ms=RETRY_MS)
# From a close frame to the end of the connection, whether or not the peer answers and reads.
CLOSE_SECONDS = 5
# How many bytes are parsed in one go. To parse 4 KB of empty frames takes 7 ms.
SLICE = 4096
# A client that does not wait for the end of the handshake is read no further than this.
MAX_EARLY_BYTES = 65_536
# Pings, pongs and fragments, which the limits on commands do not count.
IDLE_FRAMES_PER_SECOND, IDLE_FRAMES_BURST = 20, 400
# In bytes. A peer that does not read its pongs gets no more of them.
MAX_QUEUED_PONGS = 65_536

OnFrame = Callable[[bytes | None], None]


class Nowhere:
    """The queue of a socket that has been taken over. It drops what uvicorn puts in, which is known already."""

    def put_nowait(self, message: object) -> None:
        """Drop it."""


NOWHERE = cast(Any, Nowhere())
# Shared by all sockets whose transports have room. A socket whose transport is full gets an event of its own.
WRITABLE = asyncio.Event()
WRITABLE.set()
# Attributes that an open socket does not need.
HANDSHAKE = frozenset({"scope", "request", "response", "app_state"})


class RealtimeProtocol(WebSocketsSansIOProtocol):
    """One socket. Until `take_over`, uvicorn handles it; then `on_frame` gets every frame, or None for a binary one.

    `server/http` parses the handshake, so that no second parser may have other limits, and calls `shake_hands`.
    """

    early = b""  # what a client sent that did not wait for the answer to its handshake
    on_frame: OnFrame | None = None
    on_lost: Callable[[], None] | None = None
    on_pause: Callable[[bool], None] | None = None  # True: the transport is full; False: it has room again
    on_shutdown: Callable[[], None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # In debug mode it would log headers and frames, with the tokens in them.
        self.conn.debug = False
        self.writable = WRITABLE
        self.idle_frames: TokenBucket | None = None  # created by the first ping, pong or fragment

    def shake_hands(self, request: Request) -> None:
        """Begin with the handshake, which the transport must not deliver again."""
        self.conn.parser = Protocol.parse(self.conn)  # the parser of frames alone
        next(self.conn.parser)
        self.handle_connect(request)

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions = cast(dict[str, Any], self.scope["extensions"])
            extensions[EXTENSION] = self

    def take_over(
        self,
        on_frame: OnFrame,
        on_lost: Callable[[], None],
        on_pause: Callable[[bool], None],
        on_shutdown: Callable[[], None],
    ) -> None:
        """The application calls this before it returns. `on_frame` gets at once the frames that have arrived before."""
        self.on_frame, self.on_lost, self.on_pause, self.on_shutdown = on_frame, on_lost, on_pause, on_shutdown
        arrived, self.queue = self.queue, NOWHERE
        while not arrived.empty():
            message = cast(dict[str, Any], arrived.get_nowait())
            if message["type"] == "websocket.receive":
                text = message.get("text")
                on_frame(None if text is None else text.encode())
        if self.read_paused:
            self.resume_reading()
        if self.disconnected or self.close_sent:
            self._lose()

    @property
    def is_taken_over(self) -> bool:
        """Whether the application has this socket and neither side has ended it."""
        return self.on_frame is not None and not self.close_sent

    # What the application calls

    def write(self, data: bytes) -> None:
        """Write whole WebSocket frames."""
        if not (self.close_sent or self.transport.is_closing()):
            self.transport.write(data)

    def queued_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    def is_full(self) -> bool:
        return not self.writable.is_set()

    async def wait_writable(self) -> None:
        """Wait until the transport has room or the connection is lost."""
        await self.writable.wait()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame. The connection ends when the peer has answered, or after CLOSE_SECONDS."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.close_sent = True
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.resume_reading()
        self.close_timer = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def pause_reading(self) -> None:
        if not self.read_paused and not self.transport.is_closing():
            self.read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.read_paused and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    # What uvicorn calls

    def data_received(self, data: bytes) -> None:
        """Parse in slices, to notice a flood before all of it is parsed: the system can hand over 8 MB at once."""
        if not self.handshake_complete:
            self.early += data
            if len(self.early) > MAX_EARLY_BYTES:
                self.pause_reading()
            return
        for start in range(0, len(data), SLICE):
            if self.transport.is_closing():
                return
            self.conn.receive_data(data[start : start + SLICE])
            if self.conn.parser_exc is None:
                self.handle_events()
            else:
                self._end_after_events()

    def _end_after_events(self) -> None:
        """The peer violated the WebSocket protocol: take the frames before that, and then close."""
        # The last two are the close frame and the mark for the end. Those before are pongs.
        self.conn.writes, ending = self.conn.writes[:-2], self.conn.writes[-2:]
        self.handle_events()
        self.conn.writes = ending
        self.handle_parser_exception()

    def handle_ping(self) -> None:
        pong = b"".join(self.conn.data_to_send())
        if self._may_idle() and self.queued_bytes() <= MAX_QUEUED_PONGS:
            self.transport.write(pong)

    def handle_pong(self, event: Any) -> None:
        if self._may_idle():
            super().handle_pong(event)

    def handle_cont(self, event: Any) -> None:
        if self._may_idle():
            super().handle_cont(event)

    def handle_close(self, event: Any) -> None:
        """Abort after CLOSE_SECONDS: a transport that closes normally waits forever for a peer that reads nothing."""
        super().handle_close(event)
        if self.close_timer is None and not self.disconnected:
            self.close_timer = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def _may_idle(self) -> bool:
        """Count a frame that is not a command. If there are too many, end the connection and return False."""
        if self.idle_frames is None:
            self.idle_frames = TokenBucket(IDLE_FRAMES_PER_SECOND, IDLE_FRAMES_BURST)
        if not self.idle_frames.take(self.loop.time()):
            return True
        self.transport.abort()
        return False

    def send_receive_event_to_app(self) -> None:
        if self.close_sent and not self._may_idle():
            return
        is_text = self.curr_msg_data_type == "text"
        if self.on_frame is not None:
            frames, self.frames = self.frames, []
            if not self.close_sent:
                self.on_frame(b"".join(frames) if is_text else None)
        elif is_text and not self.close_sent and not is_utf8(b"".join(self.frames)):
            # uvicorn would log this as an error of the server.
            self.conn.send_close(CloseCode.INVALID_DATA)
            self.handle_parser_exception()
        else:
            super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        """The peer violated the WebSocket protocol: send a close frame, and read on until the peer has received it.

        To close at once would reset the connection if more data arrives, and the peer would lose our last frames.
        """
        if (received := self.conn.close_rcvd) is not None:
            self._answer_close(received)
            return
        failure = self.conn.close_sent
        if self.close_sent or self.transport.is_closing() or failure is None:
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": failure.code, "reason": failure.reason})
        # Also as a frame, because a browser does not show the reason in a close frame.
        if failure.code == CloseCode.TOO_BIG:
            self.transport.write(Frame(encode(TOO_LARGE)).wire)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._lose()
        self.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.close_timer = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def _answer_close(self, received: frames.Close) -> None:
        """Answer a close frame between the fragments of a message. RFC 6455 §5.4 allows it; `websockets` refuses it."""
        payload = b"" if received.code == frames.CloseCode.NO_STATUS_RCVD else received.serialize()
        self.conn.writes = [frames.Frame(frames.Opcode.CLOSE, payload).serialize(mask=False)]
        self.handle_close(None)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lose()

    def pause_writing(self) -> None:
        self.writable = asyncio.Event()
        super().pause_writing()
        if self.on_pause is not None:
            self.on_pause(True)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.writable = WRITABLE
        if self.on_pause is not None:
            self.on_pause(False)

    def shutdown(self) -> None:
        if self.on_shutdown is not None and not self.close_sent:
            self.on_shutdown()
            return
        # The user is still being looked up, so the application has not taken the socket over.
        if self.handshake_complete and not self.close_sent:
            self.transport.write(Frame(encode(RESTARTING)).wire)
        super().shutdown()

    def send_500_response(self) -> None:
        if not self.conn.eof_sent:  # else the handshake has been answered, because the server stops
            super().send_500_response()

    async def send(self, message: Any) -> None:
        if self.conn.eof_sent and not self.handshake_complete:
            raise ClientDisconnected
        await super().send(message)
        if self.early and self.handshake_complete:
            early, self.early = self.early, b""
            self.resume_reading()
            self.data_received(early)

    async def run_asgi(self) -> None:
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except BaseException:
            self.logger.exception("Exception in ASGI application\n")
            self.send_500_response()
        else:
            if not self.handshake_complete and not self.close_sent:  # neither accepted nor refused
                self.logger.error("ASGI callable returned without completing handshake.")
                self.send_500_response()
        if self.on_frame is not None:
            self._slim_down()
        elif self.close_timer is None:
            self.transport.close()

    def _lose(self) -> None:
        on_lost, self.on_lost = self.on_lost, None
        if on_lost is not None:
            on_lost()
            self.on_frame = self.on_pause = self.on_shutdown = None

    def _slim_down(self) -> None:
        """Free the memory of the handshake: its headers alone take more than everything that stays."""
        # The parser keeps the request itself as long as it parses, so empty it.
        self.request.headers.clear()
        self.request.path = ""
        # A new dictionary, because one does not shrink when keys are removed.
        self.__dict__ = {name: value for name, value in vars(self).items() if name not in HANDSHAKE}


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
