"""Lets the workers of pytest-xdist share a migrated database of SQLite. Used by `conftest`.

Running all migrations takes 4 s of CPU time, and a copy of what they have made next to nothing.
"""

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, connections


@contextlib.contextmanager
def share_migrations(folder: Path) -> Iterator[None]:
    """Let `migrate` keep its result in the workers' folder, or begin with that of the first worker."""
    handle: Any = migrate.Command.handle
    shared = folder / "migrated.sqlite3"

    def begin_with_shared(self: migrate.Command, *args: Any, **options: Any) -> None:
        connection = connections[DEFAULT_DB_ALIAS]
        connection.ensure_connection()
        with (folder / "migrated.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            is_first = not shared.exists()
            with contextlib.closing(sqlite3.connect(shared)) as copy:
                if not is_first:
                    copy.backup(connection.connection)
                handle(self, *args, **options)
                if is_first:
                    connection.connection.backup(copy)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate.Command, "handle", begin_with_shared)
        yield
