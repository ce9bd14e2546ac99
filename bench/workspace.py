"""What a run of the benchmark creates: databases, keys in Redis, and a directory for files and logs.

Used by `run` and by the contenders. `close` removes all of it, also after a failure.
"""

import os
import random
import secrets
import shutil
import tempfile
from pathlib import Path

import psycopg
import redis
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

POSTGRES_URL = os.environ.get("BENCH_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379")  # without a database number


class Workspace:
    def __init__(self) -> None:
        # Pub/sub ignores database numbers, so only names separate runs.
        self.prefix = f"bench{secrets.token_hex(4)}"
        self.directory = Path(tempfile.mkdtemp(prefix="bench-"))
        self.secret_key = secrets.token_urlsafe(48)
        self.redis_url = f"{REDIS_URL}/{find_empty_database()}"
        self._databases: list[str] = []

    def create_database(self) -> str:
        """Create an empty PostgreSQL database. Returns its URL."""
        name = f"bench_{secrets.token_hex(6)}"
        with psycopg.connect(POSTGRES_URL, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        self._databases.append(name)
        return database_url(name)

    def close(self) -> None:
        try:
            self._drop_databases()
            self._delete_keys()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _drop_databases(self) -> None:
        with psycopg.connect(POSTGRES_URL, autocommit=True) as connection:
            for name in self._databases:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _delete_keys(self) -> None:
        with redis.Redis.from_url(self.redis_url) as client:
            for key in client.scan_iter(match=f"*{self.prefix}*", count=1000):
                client.delete(key)


def find_empty_database() -> int:
    """The number of a random Redis database that is empty."""
    with redis.Redis.from_url(REDIS_URL) as client:
        used = {int(name.removeprefix("db")) for name in client.info("keyspace")}
        count = int(client.config_get("databases")["databases"])
    return random.choice([number for number in range(1, count) if number not in used])


def database_url(name: str) -> str:
    given = conninfo_to_dict(POSTGRES_URL)
    password = f":{given['password']}" if given.get("password") else ""
    return f"postgresql://{given['user']}{password}@{given['host']}:{given.get('port', 5432)}/{name}"
