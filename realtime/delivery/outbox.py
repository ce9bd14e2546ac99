"""What a process without sockets sends to the others: at once, or later while the channel layer is away.

Used by the bridge, on its loop. Whoever publishes waits for the layer; when it is away, that is noticed by one of them
(or by a few that publish at the same moment) and not by all who come after.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any

from realtime.delivery.backlog import Backlog
from realtime.delivery.bus import RETRY_SECONDS, send_portion
from realtime.delivery.envelopes import Envelope
from realtime.storage.tasks import time_limit

logger = logging.getLogger(__name__)

# How long a publication may wait for a layer that hangs.
PATIENCE_SECONDS = 1.0
# How long an attempt to send what waits may take: longer, because nobody waits for it.
TIMEOUT_SECONDS = 10.0
ORIGIN = "bridge"


class Outbox:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting = Backlog()
        self._retrying: asyncio.Task[None] | None = None  # set while the layer is away

    async def send(self, layer: Any, group: str, envelope: Envelope) -> None:
        """Send an envelope in portions. If the layer is away, what is left is kept, and sent when it is back."""
        rest = Backlog()
        rest.add(envelope)
        if self._retrying is None:
            try:
                async with time_limit(PATIENCE_SECONDS):
                    await _send_all(layer, group, rest)
            except Exception as error:
                self._note_away(str(error) or "it does not answer")
            except asyncio.CancelledError:
                # The caller has given up. Nothing is lost by that.
                self._keep(layer, group, rest)
                raise
        self._keep(layer, group, rest)

    def _keep(self, layer: Any, group: str, rest: Backlog) -> None:
        # Behind what waits already: a layer that has just come back gets everything in order.
        while rest:
            self._waiting.add(rest.take())
        if self._waiting and self._retrying is None:
            self._retrying = asyncio.get_running_loop().create_task(self._retry(layer, group))

    async def _retry(self, layer: Any, group: str) -> None:
        while self._waiting:
            await asyncio.sleep(RETRY_SECONDS)
            with suppress(Exception):
                async with time_limit(TIMEOUT_SECONDS):
                    await _send_all(layer, group, self._waiting)
        self._retrying = None
        logger.info("The channel layer is available")

    def _note_away(self, why: str) -> None:
        """Those that were waiting at the same moment say it once."""
        if self._retrying is None:
            logger.warning("The channel layer is away: %s", why)


async def _send_all(layer: Any, group: str, waiting: Backlog) -> None:
    while waiting:
        await send_portion(layer, group, ORIGIN, waiting)
