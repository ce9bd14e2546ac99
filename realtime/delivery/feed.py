"""One stream in this process: its order, and the sockets that want it. Used by the hub alone."""

import asyncio
from collections.abc import Awaitable, Callable

from realtime.conf import settings
from realtime.delivery.fanout import Fanout
from realtime.protocol.errors import Refused
from realtime.protocol.frames import stamp
from realtime.protocol.ordering import Sequencer
from realtime.protocol.outgoing import Frame
from realtime.storage.log import READ_CHUNK, LoggedEvent

RETRY_SECONDS = 1.0  # between questions to a database that is away

Missed = Callable[[str, int, int], Awaitable[list[LoggedEvent]]]


class Feed:
    """Gives a stream's events to this process's subscribers in order, each once, and fetches what was lost."""

    __slots__ = ("_filler", "_last_seq", "_missed", "fanout", "name", "order", "pins")

    def __init__(self, name: str, missed: Missed) -> None:
        self.name = name
        self.fanout = Fanout()
        self.order: Sequencer[bytes] = Sequencer()
        self.pins = 0  # how many are about to subscribe: it must not be forgotten meanwhile
        self._missed = missed
        self._last_seq = 0  # where the log stood when it was last compared
        self._filler: asyncio.Task[None] | None = None  # set while something is missing

    @property
    def position(self) -> int:
        return self.order.position or 0

    @property
    def sent_position(self) -> int:
        """Up to where subscribers have been written to: what has gathered is yet to leave."""
        first = self.fanout.first_gathered()
        return self.position if first is None else first - 1

    def start(self, position: int) -> None:
        """The log stands at `position`: what comes after it is delivered."""
        self._deliver(self.order.start(position))
        self._fill_if_needed()

    def accept(self, seq: int, body: bytes) -> None:
        self._deliver(self.order.accept(seq, body))
        self._fill_if_needed()

    def advance_to(self, last_seq: int) -> None:
        """The log stands at `last_seq`: fetch what does not arrive by itself."""
        self._last_seq = last_seq
        self._fill_if_needed()

    async def catch_up(self) -> None:
        """Take what the log has and nobody has brought yet. Raises DatabaseUnavailable."""
        for event in await self._missed(self.name, self.position, self.position + READ_CHUNK):
            self.accept(event.seq, event.body)

    def stop(self) -> None:
        if self._filler is not None:
            self._filler.cancel()

    def _deliver(self, ready: list[tuple[int, bytes]]) -> None:
        for seq, body in ready:
            self.fanout.send(Frame(stamp(body, self.name, seq), seq=seq))

    def _fill_if_needed(self) -> None:
        if self._filler is None and self._missing() is not None:
            self._filler = asyncio.get_running_loop().create_task(self._fill())

    def _missing(self) -> tuple[int, int] | None:
        """The first and the last `seq` of the next hole."""
        position = self.order.position
        if position is None:
            return None
        if self.order.held:
            return self.order.gap()
        return (position + 1, self._last_seq) if self._last_seq > position else None

    async def _fill(self) -> None:
        try:
            while self._missing() is not None:
                # Two processes' publications cross: most gaps close by themselves within a moment.
                await asyncio.sleep(settings().gap_wait_ms / 1000)
                if (gap := self._missing()) is not None:
                    await self._fetch(*gap)
        finally:
            self._filler = None

    async def _fetch(self, first: int, last: int) -> None:
        last = min(last, first + READ_CHUNK - 1)
        try:
            events = await self._missed(self.name, first - 1, last)
        except Refused:
            await asyncio.sleep(RETRY_SECONDS)  # what is held stays held
            return
        for event in events:
            self._deliver(self.order.accept(event.seq, event.body))
        # Committed before what came after it, so what is not there now has been pruned.
        self._deliver(self.order.skip_to(last))
