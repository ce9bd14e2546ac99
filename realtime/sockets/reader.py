"""Takes the frames of one socket in order. Our own server delivers them by calls; else the consumer receives them."""

import asyncio
import time
from collections import deque
from typing import Protocol

from realtime.delivery.connection import Connection
from realtime.sockets import intake
from realtime.sockets.handlers import Work
from realtime.sockets.node import Node

# Frames that wait for a command before them. When there are so many, reading pauses.
MAX_WAITING = 32


class Source(Protocol):
    """Where frames come from."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class SocketReader:
    """Gives frames to the intake in order. A task exists only while a command waits for something.

    `work` is done before the first frame is taken.
    """

    __slots__ = ("_connection", "_node", "_socket", "_task", "_waiting")

    def __init__(self, node: Node, connection: Connection, socket: Source, work: Work | None = None) -> None:
        self._node = node
        self._connection = connection
        self._socket = socket
        self._task: asyncio.Task[None] | None = None  # set while a command waits
        self._waiting: deque[bytes | str | None] | None = None  # frames behind that command
        if work is not None:
            self._task = asyncio.get_running_loop().create_task(self._go_on(work))

    def on_frame(self, raw: bytes | str | None) -> None:
        if self._connection.closing:
            return
        if self._task is None:
            work = intake.begin(self._node, self._connection, raw)
            if work is not None:
                self._task = asyncio.get_running_loop().create_task(self._go_on(work))
            return
        # A client whose frame waits for its turn is alive.
        self._connection.heard_at = time.monotonic()
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(raw)
        if len(self._waiting) >= MAX_WAITING:
            self._socket.pause_reading()

    def on_lost(self) -> None:
        self._node.leave(self._connection)
        if self._waiting is not None:
            # Commands that have not begun may be dropped: none was acknowledged. The running command is finished.
            self._waiting.clear()

    async def _go_on(self, work: Work | None) -> None:
        try:
            while True:
                if work is not None:
                    await work
                if not self._waiting or self._connection.closing:
                    break
                work = intake.begin(self._node, self._connection, self._waiting.popleft())
                if len(self._waiting) < MAX_WAITING // 2:
                    self._socket.resume_reading()
        finally:
            self._task = None
            self._waiting = None
            self._socket.resume_reading()
