"""One stream in this process (L2): its order, and the sockets that want it. Used by the hub alone."""

import asyncio
from collections.abc import Awaitable, Callable

from realtime import protocol
from realtime.conf import settings
from realtime.errors import Refused
from realtime.fanout import Fanout
from realtime.frames import Frame
from realtime.log import READ_CHUNK, LoggedEvent
from realtime.ordering import Sequencer

Missed = Callable[[str, int, int], Awaitable[list[LoggedEvent]]]


class Feed:
    """Gives a stream's events to this process's subscribers in order, each once, and fetches what was lost."""

    __slots__ = ("_filler", "_missed", "fanout", "name", "order", "pins")

    def __init__(self, name: str, missed: Missed) -> None:
        self.name = name
        self.fanout = Fanout()
        self.order: Sequencer[bytes] = Sequencer()
        self.pins = 0  # how many are about to subscribe: it must not be forgotten meanwhile
        self._missed = missed
        self._filler: asyncio.Task[None] | None = None  # set while something is missing

    @property
    def position(self) -> int:
        return self.order.position or 0

    def start(self, position: int) -> None:
        """The log stands at `position`: what comes after it is delivered."""
        self._deliver(self.order.start(position))

    def accept(self, seq: int, body: bytes) -> None:
        self._deliver(self.order.accept(seq, body))
        if self.order.held and self._filler is None:
            self._fill()

    def advance_to(self, last_seq: int) -> None:
        """The log stands at `last_seq`: fetch what did not arrive by itself."""
        if self.order.position is not None and last_seq > self.order.position and self._filler is None:
            self._fill(last_seq)

    def stop(self) -> None:
        if self._filler is not None:
            self._filler.cancel()

    def _deliver(self, ready: list[tuple[int, bytes]]) -> None:
        for seq, body in ready:
            self.fanout.send(Frame(protocol.stamp(body, self.name, seq)))

    def _fill(self, last_seq: int = 0) -> None:
        if self.order.position is not None:
            self._filler = asyncio.get_running_loop().create_task(self._fill_gaps(last_seq))

    async def _fill_gaps(self, last_seq: int) -> None:
        try:
            while True:
                # Two processes' publications cross: most gaps close by themselves within a moment.
                await asyncio.sleep(settings().gap_wait_ms / 1000)
                gap = self.order.gap()
                if gap is None and last_seq > self.position:
                    gap = (self.position + 1, last_seq)
                if gap is None:
                    return
                await self._fetch(*gap)
        finally:
            self._filler = None

    async def _fetch(self, first: int, last: int) -> None:
        last = min(last, first + READ_CHUNK - 1)
        try:
            events = await self._missed(self.name, first - 1, last)
        except Refused:
            await asyncio.sleep(1)  # the database is away; what is held stays held
            return
        for event in events:
            self._deliver(self.order.accept(event.seq, event.body))
        # Committed before what came after it, so what is not there now has been pruned.
        self._deliver(self.order.skip_to(last))
