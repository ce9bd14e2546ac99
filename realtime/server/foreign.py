"""What other servers leave out of ASGI's `send` and `receive`. Called by the routing, under every server but ours.

- daphne's `send` never waits, so a peer that reads nothing would fill the memory. It refuses the reserved close codes,
  such as 1009 and 1012. And it reads commands without an end, however many are waiting.
- uvicorn closes a socket only when the peer has read everything, which may be never.

A middleware that replaces `send` between the server and the routing hides the server from this module.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

# From a close to the end of the connection, whether or not the peer answers and reads.
CLOSE_SECONDS = 5
# In bytes. Above it, daphne's transport also stops reading.
HIGH_WATER = 32_768
POLL_SECONDS = 0.05
# Messages that wait for the application. When there are so many, reading pauses.
MAX_WAITING = 32

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def adapt(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """The same for one socket, with bounds. Unchanged under a server that is not known here."""
    protocol = send.args[0] if isinstance(send, partial) and send.args else None
    queue = getattr(receive, "__self__", None)
    if hasattr(protocol, "sendCloseFrame") and isinstance(queue, asyncio.Queue):
        return pace_reading(protocol, queue), DaphneSend(protocol, send)
    abort = getattr(getattr(getattr(send, "__self__", None), "transport", None), "abort", None)
    return receive, send if abort is None else EndingSend(send, abort)


class EndingSend:
    """Aborts a connection that has not ended CLOSE_SECONDS after its close, or that nobody waits for any more."""

    def __init__(self, send: Send, abort: Callable[[], None]) -> None:
        self._send = send
        self._abort = abort

    async def __call__(self, message: Message) -> None:
        try:
            await self.deliver(message)
        except asyncio.CancelledError:
            self._abort()
            raise
        if message["type"] == "websocket.close":
            asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._abort)

    async def deliver(self, message: Message) -> None:
        await self._send(message)


class DaphneSend(EndingSend):
    """Waits while much is waiting to be written, and closes with any code. `protocol` is Autobahn's."""

    def __init__(self, protocol: Any, send: Send) -> None:
        super().__init__(send, protocol.transport.abortConnection)
        self._protocol = protocol
        # Under TLS, the transport that buffers is behind another one.
        self._transport = protocol.transport
        while not hasattr(self._transport, "dataBuffer") and hasattr(self._transport, "transport"):
            self._transport = self._transport.transport

    async def deliver(self, message: Message) -> None:
        # Twisted reports room only to one producer, and daphne has taken that place.
        while self._protocol.state != self._protocol.STATE_CLOSED and self._buffered_bytes() > HIGH_WATER:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        if message["type"] == "websocket.close" and self._protocol.state == self._protocol.STATE_OPEN:
            # Autobahn's `sendClose`, which daphne calls, does the same, but checks the code before.
            self._protocol.sendCloseFrame(message.get("code", 1000), message.get("reason", "").encode())
        else:
            await self._send(message)

    def _buffered_bytes(self) -> int:
        return len(getattr(self._transport, "dataBuffer", b"")) + getattr(self._transport, "_tempDataLen", 0)


def pace_reading(protocol: Any, queue: "asyncio.Queue[Message]") -> Receive:
    """Daphne's `receive`, for a transport that pauses while many messages wait."""
    put_nowait = queue.put_nowait

    def put(message: Message) -> None:
        put_nowait(message)
        if queue.qsize() >= MAX_WAITING:
            protocol.transport.pauseProducing()

    async def receive() -> Message:
        message = await queue.get()
        if queue.qsize() == MAX_WAITING // 2:
            protocol.transport.resumeProducing()
        return message

    queue.put_nowait = put  # type: ignore[assignment]
    return receive
