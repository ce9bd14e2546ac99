"""Which of PostgreSQL and Redis `make test` cannot reach. Asked by `tests.halves` and `tests.flaky`."""

import os

import psycopg
import redis

from tests.patience import PATIENCE_SECONDS


def find_missing() -> list[str]:
    missing = []
    try:
        psycopg.connect(os.environ["TEST_DATABASE_URL"], connect_timeout=round(PATIENCE_SECONDS)).close()
    except psycopg.Error as error:
        missing.append(f"PostgreSQL does not answer: {str(error).strip()}")
    try:
        limits = {"socket_connect_timeout": PATIENCE_SECONDS, "socket_timeout": PATIENCE_SECONDS}
        with redis.Redis.from_url(os.environ["TEST_REDIS_URL"], **limits) as client:
            client.ping()
    except (redis.RedisError, OSError) as error:
        missing.append(f"Redis does not answer: {error}")
    return missing
