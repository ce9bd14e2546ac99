"""Clients of Redis for the stores. The channel layer has its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

CONNECTIONS = 8  # of one store; a rush of calls waits for a turn instead of opening a socket each
SOCKET_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 3.0


def open_client(url: str) -> Redis:
    """A client with a few connections. One new attempt for a connection that had died in the pool, none on time-outs.

    redis-py would try ten times; and RESP 3 would add a handshake for push messages that are not used here.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=SOCKET_TIMEOUT_SECONDS,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        protocol=2,
    )
    return Redis.from_pool(pool)


@contextmanager
def translated_errors(unavailable: type[Exception]) -> Iterator[None]:
    """Raise a store's own word for a Redis that cannot be reached or does not answer."""
    try:
        yield
    except (RedisError, OSError) as error:  # a TimeoutError is an OSError
        raise unavailable(f"{type(error).__name__}: {error}") from error
