"""Redis clients for the stores of leases, presence and sessions. The channel layer has its own client."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

# Connections of one store. When many calls come at once, they wait for a free one instead of opening one each.
CONNECTIONS = 8
SOCKET_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 3.0


def open_client(url: str) -> Redis:
    """A client with a few connections.

    A command is retried once when its connection had died in the pool, and never after a time-out; redis-py's default
    is ten retries. RESP 2 is used, because RESP 3 adds a handshake for push messages, which are not used here.
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
    """Raise `unavailable`, a store's own exception, when Redis cannot be reached or does not answer."""
    try:
        yield
    except (RedisError, OSError) as error:  # a TimeoutError is an OSError
        raise unavailable(f"{type(error).__name__}: {error}") from error
