"""Settings of our server under load: the site's own without rate limits; nothing else is relaxed.

Used by `bench.contenders`. Here one user sends as much as a thousand would, and the limits on commands are per user:
the benchmark would measure these limits.
"""

import os
from datetime import timedelta

from project.settings import *  # noqa: F403
from project.settings import CHANNEL_LAYERS, DATABASES, REALTIME, SIMPLE_JWT

REALTIME = {
    **REALTIME,
    "COMMANDS_PER_SECOND": 1_000_000,
    "COMMANDS_BURST": 1_000_000,
    "PRESENCE_AUDIENCE": "everyone",
    "KEY_PREFIX": os.environ["BENCH_PREFIX"],  # apart from whatever else uses this Redis
}
# Tokens are made before the first case and are still used in the last one.
SIMPLE_JWT = {**SIMPLE_JWT, "ACCESS_TOKEN_LIFETIME": timedelta(hours=6)}

if os.environ.get("BENCH_SQLITE"):
    DATABASES["default"]["NAME"] = os.environ["BENCH_SQLITE"]
if "CONFIG" in CHANNEL_LAYERS["default"]:
    CHANNEL_LAYERS["default"]["CONFIG"]["prefix"] = os.environ["BENCH_PREFIX"]
