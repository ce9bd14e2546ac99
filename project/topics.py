"""Topics of the demo. `realtime` imports the module `topics` of every app."""

import os
from typing import Any

import msgspec
from django.conf import settings

import realtime
from project.demo.performance import performance
from realtime.manager import manager


class Metrics(msgspec.Struct):
    """The load of the machine in the last 1, 5 and 15 minutes, and how many users are online in all processes."""

    load: tuple[float, float, float]
    online_count: int


@realtime.topic("metrics", every=2, data=Metrics)
async def measure() -> Metrics:
    return Metrics(os.getloadavg(), await manager.aget_online_count())


def has_traffic(_user_id: Any) -> bool:
    return bool(settings.DEMO and settings.DEMO_TRAFFIC)


@realtime.topic("demo", every=5, allow=has_traffic)
async def let_actors_go_on() -> None:
    """Pages of the demo subscribe to this topic, so that it is called while somebody looks. It has no values."""
    await performance.go_on()
