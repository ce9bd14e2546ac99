"""The Redis that the tests of stores use, even when all other tests run without Redis."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis
from redis.exceptions import RedisError

REDIS_URL = os.environ.get("REDIS_URL") or os.environ.get("TEST_REDIS_URL") or "redis://127.0.0.1:6379/0"


def find_keys(prefix: str) -> list[bytes]:
    with Redis.from_url(REDIS_URL, socket_timeout=5) as client:
        return list(client.scan_iter(match=f"{prefix}*", count=10_000))


def delete_keys(prefix: str) -> None:
    if keys := find_keys(prefix):
        with Redis.from_url(REDIS_URL, socket_timeout=5) as client:
            client.delete(*keys)


@contextmanager
def own_redis_prefix() -> Iterator[str]:
    """A prefix of the test's own, whose keys are deleted afterwards. Without Redis, the test is skipped; CI fails."""
    try:
        with Redis.from_url(REDIS_URL, socket_connect_timeout=3, socket_timeout=5) as client:
            client.ping()
    except (RedisError, OSError) as error:
        stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        stop(f"no Redis at {REDIS_URL}: {type(error).__name__}")
    prefix = f"test-{uuid.uuid4().hex}:"
    try:
        yield prefix
    finally:
        delete_keys(prefix)
