"""Which of PostgreSQL and Redis `make test` cannot reach. Asked by `tests.halves` and `tests.flaky`."""

import os

import psycopg
import redis


def find_missing() -> list[str]:
    missing = []
    try:
        psycopg.connect(os.environ["TEST_DATABASE_URL"], connect_timeout=3).close()
    except psycopg.Error as error:
        missing.append(f"PostgreSQL does not answer: {str(error).strip()}")
    try:
        with redis.Redis.from_url(os.environ["TEST_REDIS_URL"], socket_connect_timeout=3, socket_timeout=3) as client:
            client.ping()
    except (redis.RedisError, OSError) as error:
        missing.append(f"Redis does not answer: {error}")
    return missing
