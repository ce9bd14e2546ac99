"""Topics of the demo. `realtime` imports the module `topics` of every app."""

import os
from typing import Any

from django.conf import settings

import realtime
from project.demo.performance import performance
from realtime.manager import manager


@realtime.topic("metrics", every=2)
async def measure() -> dict[str, Any]:
    """The load of the machine that calls this, and how many users are online in all processes."""
    return {"load": os.getloadavg(), "online_count": await manager.aget_online_count()}


def has_traffic(_user_id: Any) -> bool:
    return bool(settings.DEMO and settings.DEMO_TRAFFIC)


@realtime.topic("demo", every=5, allow=has_traffic)
async def let_actors_go_on() -> None:
    """Pages of the demo subscribe to this topic, so that it is called while somebody looks. It has no values."""
    await performance.go_on()
