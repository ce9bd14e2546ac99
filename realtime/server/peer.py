"""uvicorn's WebSocket protocol with limits for what a peer may send, and when. `RealtimeProtocol` builds on it."""

from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import frames
from websockets.http11 import Request
from websockets.protocol import OPEN, Protocol

from realtime.protocol.errors import CloseCode
from realtime.protocol.frames import Disconnect, encode
from realtime.protocol.limits import TokenBucket
from realtime.protocol.outgoing import Frame

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

TOO_LARGE = Disconnect(CloseCode.TOO_BIG, "FRAME_TOO_LARGE", reconnect=False, retry_after_ms=0)


class BoundedPeer(WebSocketsSansIOProtocol):
    """One socket, from its handshake on.

    `server/http` parses the handshake, so that no second parser may have other limits, and calls `shake_hands`.
    """

    is_ours = False  # set by the application whose frames it speaks; the site may have sockets of its own
    early = b""  # what a client sent that did not wait for the answer to its handshake
    idle_frames: TokenBucket | None = None  # created by the first ping, pong or fragment

    def shake_hands(self, request: Request) -> None:
        """Begin with the handshake, which the transport must not deliver again."""
        self.conn.parser = Protocol.parse(self.conn)  # the parser of frames alone
        next(self.conn.parser)
        self.handle_connect(request)

    def queued_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame. The connection ends when the peer has answered, or after CLOSE_SECONDS."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        # The peer's own close, or its violation, came with the frame that led here, and is handled after it.
        if self.conn.state is not OPEN:
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

    def start_keepalive(self) -> None:
        """uvicorn's pings are for the site's own sockets. Ours have heartbeats, which the client's code answers."""
        if not self.is_ours:
            super().start_keepalive()

    def keepalive_timeout(self) -> None:
        if self.read_paused:  # the application is busy, and the answer may be behind what waits for it
            self.pong_timer = None
            self.schedule_ping()
            return
        super().keepalive_timeout()
        self._abort_soon()

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
        self._abort_soon()

    def eof_received(self) -> None:
        """The peer sends no more, so the transport closes now: as in `handle_close`."""
        self._abort_soon()

    def _abort_soon(self) -> None:
        if self.close_timer is None and self in self.connections:  # else it has been lost
            self.close_timer = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def _may_idle(self) -> bool:
        """Count a frame that is not a command. If there are too many, end the connection and return False."""
        if self.idle_frames is None:
            self.idle_frames = TokenBucket(IDLE_FRAMES_PER_SECOND, IDLE_FRAMES_BURST)
        if not self.idle_frames.take(self.loop.time()):
            return True
        self.transport.abort()
        return False

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
        if failure.code == CloseCode.TOO_BIG and self.is_ours:
            self.transport.write(Frame(encode(TOO_LARGE)).wire)
        self.transport.write(b"".join(self.conn.data_to_send()))
        # An application that still sends gets an error, and not a report of a mistake of its own.
        self.close_sent = self.disconnected = True
        self._lose()
        self.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.close_timer = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def _lose(self) -> None:
        """The socket has ended, except for its close frames."""

    def _answer_close(self, received: frames.Close) -> None:
        """Answer a close frame between the fragments of a message. RFC 6455 §5.4 allows it; `websockets` refuses it."""
        payload = b"" if received.code == frames.CloseCode.NO_STATUS_RCVD else received.serialize()
        self.conn.writes = [frames.Frame(frames.Opcode.CLOSE, payload).serialize(mask=False)]
        self.handle_close(None)

    def send_500_response(self) -> None:
        if not self.conn.eof_sent:  # else the handshake has been answered, because the server stops
            super().send_500_response()

    async def send(self, message: Any) -> None:
        if self.conn.eof_sent and not self.handshake_complete:
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.close" and self.close_timer is not None:
            # uvicorn's timer lets the transport close, which waits for a peer that reads nothing.
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)
        if self.early and self.handshake_complete:
            early, self.early = self.early, b""
            self.resume_reading()
            self.data_received(early)
