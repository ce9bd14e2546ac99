"""Our server's WebSocket protocol: uvicorn's, plus direct writes, minus what an open socket does not need.

It works for any ASGI application. The consumer finds it in `scope["extensions"]` under EXTENSION, takes the socket
over and returns: from then on a socket costs no task, no queue and no scope.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from websockets.protocol import OPEN

from realtime.conf import settings
from realtime.protocol.errors import CloseCode
from realtime.protocol.frames import Disconnect, encode
from realtime.protocol.outgoing import Frame
from realtime.server.peer import BoundedPeer
from realtime.server.scope_keys import EXTENSION

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


class RealtimeProtocol(BoundedPeer):
    """One socket. Until `take_over`, uvicorn handles it; then `on_frame` gets every frame, or None for a binary one."""

    on_frame: OnFrame | None = None
    on_lost: Callable[[], None] | None = None
    on_pause: Callable[[bool], None] | None = None  # True: the transport is full; False: it has room again
    on_shutdown: Callable[[], None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # In debug mode it would log headers and frames, with the tokens in them.
        self.conn.debug = False
        self.writable = WRITABLE

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

    def is_full(self) -> bool:
        return not self.writable.is_set()

    async def wait_writable(self) -> None:
        """Wait until the transport has room or the connection is lost."""
        await self.writable.wait()

    # What uvicorn calls

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
            if self.conn.state is OPEN:  # else a close or a violation came with it, and is handled after it
                self.conn.send_close(CloseCode.INVALID_DATA)
                self.handle_parser_exception()
        else:
            super().send_receive_event_to_app()

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
        # A close has been sent or received, and the peer has not answered it or read what came before it. To close the
        # transport now could reset the connection, and the peer would not learn when to come back.
        if self.close_timer is not None:
            return
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
            return
        # The application has not taken it over: the user is still being looked up, or the socket is the site's own.
        if self.is_ours:
            self.transport.write(Frame(encode(come_back())).wire)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": CloseCode.RESTARTING})
        self.close(CloseCode.RESTARTING, "RESTARTING")
        # An application that still sends gets an error, and not a report of a mistake of its own.
        self.disconnected = True

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
        # A new dictionary, because one does not shrink when keys are removed.
        self.__dict__ = {name: value for name, value in vars(self).items() if name not in HANDSHAKE}


def come_back() -> Disconnect:
    """For a client whose socket was being opened when the server began to stop."""
    delay_ms = secrets.randbelow(max(1, settings().retry_after_ms))
    return Disconnect(CloseCode.RESTARTING, "RESTARTING", reconnect=True, retry_after_ms=delay_ms)


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
