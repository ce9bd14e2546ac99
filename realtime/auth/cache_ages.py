"""How long entries of a cache will live, for those caches that say it. Called by `sessions`.

Django's interface of caches cannot be asked for this, and no session in a cache knows when it was saved.
"""

import time
from collections.abc import Collection
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache


def seconds_left(cache: Any, names: Collection[str]) -> dict[str, float]:
    """Seconds until these entries expire, by name. Those of which the cache does not say it are left out."""
    if isinstance(cache, LocMemCache):
        return _ask_memory(cache, names)
    if isinstance(cache, RedisCache):
        return _ask_redis(cache, names)
    if hasattr(cache, "ttl"):  # django-redis has this method
        return {name: left for name in names if (left := cache.ttl(name))}
    return {}


def _ask_memory(cache: Any, names: Collection[str]) -> dict[str, float]:
    now = time.time()
    ends = {name: cache._expire_info.get(cache.make_and_validate_key(name)) for name in names}
    return {name: end - now for name, end in ends.items() if end is not None}


def _ask_redis(cache: Any, names: Collection[str]) -> dict[str, float]:
    pipeline = cache._cache.get_client().pipeline(transaction=False)
    for name in names:
        pipeline.pttl(cache.make_and_validate_key(name))
    return {name: left / 1000 for name, left in zip(names, pipeline.execute(), strict=True) if left >= 0}
