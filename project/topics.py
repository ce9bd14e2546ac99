"""Topics of the demo. `realtime` imports the module `topics` of every app."""

import os
from typing import Any

import realtime
from realtime.manager import manager


@realtime.topic("metrics", every=5)
async def measure() -> dict[str, Any]:
    """The load of the machine that calls this, and how many users are online in all processes."""
    return {"load": os.getloadavg(), "online_count": await manager.aget_online_count()}
