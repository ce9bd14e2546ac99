"""Keeps the connections to PostgreSQL that a test closes, for the tests after it. Used by `conftest`.

A new connection costs PostgreSQL more than most tests do: it has to learn all tables.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
import pytest
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg.pq import TransactionStatus


class KeptConnections:
    """Connections that Django has closed, and that it will get again. Those of a pool are left to the pool."""

    # The database threads of two servers. More are closed, because all workers of a run share the limit of PostgreSQL.
    limit = 8

    def __init__(self) -> None:
        self._kept: list[Any] = []
        self._parameters: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()  # of each that may be kept
        self._lock = threading.Lock()  # for both

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        backend: Any = type(connections[DEFAULT_DB_ALIAS])
        connect, close = backend.get_new_connection, backend._close

        def take(wrapper: Any, wanted: dict[str, Any]) -> Any:
            if wrapper.pool or "isolation_level" in wrapper.settings_dict["OPTIONS"]:
                return connect(wrapper, wanted)
            while (own := self._find(wanted)) is not None:
                if is_as_new(own):
                    return own
            own = connect(wrapper, wanted)
            if isinstance(own, psycopg.Connection):  # the tests also run with psycopg2, which closes its own
                self._parameters[own] = wanted
            return own

        def put_aside(wrapper: Any) -> None:
            if not self._keep(wrapper.connection):
                close(wrapper)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(backend, "get_new_connection", take)
            patch.setattr(backend, "_close", put_aside)
            yield
            self.close()

    def close(self) -> None:
        """Close all that are kept."""
        with self._lock:
            kept, self._kept = self._kept, []
        for own in kept:
            own.close()

    def _find(self, wanted: dict[str, Any]) -> Any:
        with self._lock:
            own = next((own for own in self._kept if self._parameters[own] == wanted), None)
            if own is not None:
                self._kept.remove(own)
        return own

    def _keep(self, own: Any) -> bool:
        with self._lock:
            if is_kept := own in self._parameters and len(self._kept) < self.limit and is_idle(own):
                self._kept.append(own)
        return is_kept


kept_connections = KeptConnections()


def is_idle(own: Any) -> bool:
    """Whether nothing would be lost if it was closed. The product closes one that has been left without autocommit."""
    return not own.closed and own.autocommit and own.info.transaction_status == TransactionStatus.IDLE


def is_as_new(own: Any) -> bool:
    """Forget what the session has set, prepared and locked. Close it and return False if PostgreSQL has ended it."""
    try:
        own.execute("DISCARD ALL", prepare=False)
    except psycopg.OperationalError:
        own.close()
        return False
    return True
