"""Topics of the demo. realtime imports a module of this name from every app."""

import os
from typing import Any

import realtime
from realtime.manager import manager


@realtime.topic("metrics", every=5)
async def measure() -> dict[str, Any]:
    """How busy the machine is that calls this, and how many people are online on all of them."""
    return {"load": os.getloadavg(), "online_count": await manager.aget_online_count()}
