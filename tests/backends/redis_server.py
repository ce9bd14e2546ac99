"""The Redis that the tests of stores use, even when all other tests run without Redis."""

import functools
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.patience import PATIENCE_SECONDS

REDIS_URL = os.environ.get("REDIS_URL") or os.environ.get("TEST_REDIS_URL") or "redis://127.0.0.1:6379/0"


@functools.cache
def open_client() -> Redis:
    """One client for all tests of this process, because a connection costs more than what it is used for."""
    return Redis.from_url(REDIS_URL, socket_timeout=PATIENCE_SECONDS)


def find_keys(prefix: str) -> list[bytes]:
    return list(open_client().scan_iter(match=f"{prefix}*", count=10_000))


def delete_keys(prefix: str) -> None:
    if keys := find_keys(prefix):
        open_client().delete(*keys)


@contextmanager
def own_redis_prefix() -> Iterator[str]:
    """A prefix of the test's own, whose keys are deleted afterwards. Without Redis, the test is skipped; CI fails."""
    try:
        open_client().ping()
    except (RedisError, OSError) as error:
        stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        stop(f"no Redis at {REDIS_URL}: {type(error).__name__}")
    prefix = f"test-{uuid.uuid4().hex}:"
    try:
        yield prefix
    finally:
        delete_keys(prefix)
