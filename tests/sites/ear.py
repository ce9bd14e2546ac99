"""Hears what the processes of a site publish over Redis, from outside."""

import json
import time
from typing import Self

import msgpack
import redis

from realtime.delivery.envelopes import Envelope, unpack
from tests.patience import PATIENCE_SECONDS


class Ear:
    """Listens from the beginning of its block. The site has the default names."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=PATIENCE_SECONDS)
        self._pubsub = self._client.pubsub()

    def __enter__(self) -> Self:
        self._pubsub.subscribe("asgi__group__realtime.processes")
        assert self._pubsub.get_message(timeout=PATIENCE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._pubsub.close()
        self._client.close()

    def hear(self, last: int) -> list[int]:
        """The numbers `n` of the next frames up to `last`, sorted: what different processes publish has no order."""
        numbers: list[int] = []
        deadline = time.monotonic() + PATIENCE_SECONDS
        while last not in numbers:
            message = self._pubsub.get_message(timeout=PATIENCE_SECONDS)
            assert time.monotonic() < deadline, numbers
            if message is not None and message["type"] == "message":
                numbers += numbers_of(unpack(msgpack.unpackb(message["data"])["envelope"]))
        return sorted(numbers)


def numbers_of(envelope: Envelope) -> list[int]:
    """Those of the frames that have one."""
    bodies = [*(body for _, _, body in envelope.events), *(passing.body for passing in envelope.passing)]
    return [frame["n"] for frame in map(json.loads, bodies) if "n" in frame]
