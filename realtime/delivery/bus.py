"""Passes publications between processes; the only module that uses the channel layer. The hub owns the bus."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import InMemoryChannelLayer, channel_layers, get_channel_layer

from realtime.conf import settings
from realtime.delivery.backlog import Backlog
from realtime.delivery.envelopes import Envelope, pack, unpack
from realtime.delivery.reader_errors import ReaderErrors
from realtime.storage.tasks import end_tasks, time_limit

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
# After so many beats were published and none was heard, the layer counts as away.
SILENT_BEATS = 3
# How long the layer may take to give up the channel of a process that stops. That of `channels_redis` asks Redis to do
# it, and logs an error when it is cancelled meanwhile.
LEAVE_SECONDS = 5.0
# After so many beats were sent and none was heard, nothing will arrive on this connection any more.
DEAF_BEATS = 10


def shared_layer() -> Any:
    """The channel layer if it reaches other processes, else None: a single process needs none."""
    layer = get_channel_layer()
    return None if isinstance(layer, InMemoryChannelLayer) else layer


async def close_layer() -> None:
    """Close what the running loop has open in the layer."""
    await _close(shared_layer())


async def _close(layer: Any) -> None:
    """Close a layer's connections and delete nothing, as far as it can do that."""
    # In the layer that the documentation names, `flush` does this. Those of others delete what all processes have in
    # Redis.
    if any(kind.__module__ == "channels_redis.pubsub" for kind in type(layer).__mro__):
        await layer.flush()
    elif hasattr(layer, "close_pools"):  # that of `channels_redis.core`
        await layer.close_pools()


def group_name() -> str:
    """The group of all processes in the channel layer. The site's own consumers may have one called `realtime`."""
    return f"{settings().key_prefix}.processes"


class Bus:
    """The connection of one process to the others. Belongs to one event loop; does nothing without a shared layer.

    All processes are in one group, each with a channel of its own. Publications gather while one is being sent. What
    gathers is bounded, and is sent in portions.

    A channel layer may lose messages, and its connection may break silently, so each process listens for its own beats.
    If it sends beats and none comes back, it listens on a new connection. When one comes back after a pause,
    `on_recovered` compares positions with the log.
    """

    def __init__(
        self, origin: str, on_envelope: Callable[[Envelope], Awaitable[None]], on_recovered: Callable[[], None]
    ) -> None:
        self._origin = origin
        self._on_envelope = on_envelope
        self._on_recovered = on_recovered
        self._layer: Any = None
        self._group = group_name()
        self._waiting = Backlog()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._listener: asyncio.Task[None] | None = None
        self._published = 0  # beats since one was heard
        self._unheard = 0  # those of them that the layer has accepted
        self._is_stopping = False
        self._is_logged_down = False
        self._reader_errors = ReaderErrors()
        self.is_down = False

    def start(self, layer: Any = None) -> None:
        """`layer` connects the processes instead of the site's channel layer."""
        self._layer = layer or shared_layer()
        if self._layer is None:
            return
        loop = asyncio.get_running_loop()
        self.is_down = True  # until the first beat is heard
        self._reader_errors.start()
        self._tasks = [loop.create_task(step()) for step in (self._send, self._beat)]
        self._listener = loop.create_task(self._listen())

    async def stop(self) -> None:
        """Send what is waiting, as far as the layer accepts it, and stop."""
        if self._layer is None:
            return
        self._is_stopping = True
        await end_tasks(self._tasks)
        await end_tasks([self._listener] if self._listener else [], LEAVE_SECONDS)
        self._tasks, self._listener = [], None
        self._reader_errors.stop()
        # Last, because a publication whose sending was cancelled is waiting again: twice is better than never.
        with contextlib.suppress(Exception):
            async with time_limit(2):
                await self._flush()

    def publish(self, envelope: Envelope) -> None:
        """Send to all other processes, soon and in order."""
        if self._layer is None:
            return
        self._waiting.add(envelope)
        self._wake.set()

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._flush()
            except Exception as error:
                self._note_down(error)
                await asyncio.sleep(RETRY_SECONDS)
                self._wake.set()

    async def _flush(self) -> None:
        while self._waiting:
            sent = await send_portion(self._layer, self._group, self._origin, self._waiting)
            self._unheard += bool(sent.beat)

    async def _listen(self) -> None:
        channel, is_member = None, False
        # Looked at after each step, because a cancellation may be lost in it (`storage/tasks`).
        while not self._is_stopping:
            try:
                if channel is None:
                    channel = await self._layer.new_channel()
                # The layer may add the channel and fail nevertheless. So add the same channel again: one that was
                # added and that nobody reads would fill up.
                elif not is_member:
                    await self._layer.group_add(self._group, channel)
                    is_member = True
                else:
                    await self._take(await self._layer.receive(channel))
            except Exception as error:
                self._note_down(error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _take(self, message: dict[str, Any]) -> None:
        try:
            if message["origin"] == self._origin:
                self._hear_beat(message["beat"])
                return
            envelope = unpack(message["envelope"])
        except Exception:
            logger.exception("A publication could not be read")
            return
        try:
            await self._on_envelope(envelope)
        # Go on: the next publication may be fine, and nothing else in this process listens.
        except Exception:
            logger.exception("A publication could not be delivered")

    async def _beat(self) -> None:
        period = settings().bus_beat_seconds
        number = 0
        while True:
            number += 1
            # Beats and not seconds: a process that stands still publishes none, and may not have read what has come.
            self._published += 1
            self.publish(Envelope(beat=number))
            await asyncio.sleep(period)
            if self._published >= SILENT_BEATS:
                self._note_down(self._reader_errors.last or "its beats are not heard")
            if self._unheard >= DEAF_BEATS:
                await self._listen_anew()

    async def _listen_anew(self) -> None:
        """Replace a layer that accepts publications and delivers none with a new one of the same kind.

        Its reader has died, or waits on a connection that the network has dropped, which cannot be seen from outside.
        The site's own consumers may be listening to the old layer, so it is closed only if nobody else has it.
        """
        self._unheard = 0
        if self._listener is not None:
            await end_tasks([self._listener])
        left, self._layer = self._layer, channel_layers.make_backend(DEFAULT_CHANNEL_LAYER)
        self._listener = asyncio.get_running_loop().create_task(self._listen())
        if left is not get_channel_layer():
            with contextlib.suppress(Exception):  # a broken layer may fail to close
                await _close(left)

    def _hear_beat(self, beat: int) -> None:
        if not beat:
            return
        self._published = self._unheard = 0
        self._reader_errors.last = ""
        if self.is_down:
            self.is_down = self._is_logged_down = False
            logger.info("The channel layer is available")
            self._on_recovered()

    def _note_down(self, why: object) -> None:
        if not self._is_logged_down:  # also one that was never there
            logger.warning("The channel layer is away: %s", why)
        self.is_down = self._is_logged_down = True


async def send_portion(layer: Any, group: str, origin: str, waiting: Backlog) -> Envelope:
    """Send the next portion of what waits, and return it. If that fails, or is cancelled, the portion waits again."""
    portion = waiting.take()
    message = {"type": "realtime", "origin": origin, "beat": portion.beat, "envelope": pack(portion)}
    try:
        await layer.group_send(group, message)
    except BaseException:
        waiting.put_back(portion)
        raise
    return portion
