"""Topics of the demo. `realtime` imports the module `topics` of every app."""

import os

import msgspec

import realtime
from realtime.manager import manager


class Metrics(msgspec.Struct):
    """The load of the machine in the last 1, 5 and 15 minutes, and how many users are online in all processes."""

    load: tuple[float, float, float]
    online_count: int


@realtime.topic("metrics", every=5, data=Metrics)
async def measure() -> Metrics:
    return Metrics(os.getloadavg(), await manager.aget_online_count())
