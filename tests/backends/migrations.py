"""Lets the workers of pytest-xdist share a migrated database. Used by `conftest`.

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

TEMPLATE = "template"  # what the name of PostgreSQL's copy ends with


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One worker at a time."""
    with (folder / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def share_template(folder: Path) -> Iterator[None]:
    """Let PostgreSQL make the database from a copy of the first worker's, or make that copy. Its name is in a file."""
    shared, connection = folder / "migrated.txt", connections[DEFAULT_DB_ALIAS]
    with locked(folder):
        is_first = not shared.exists()
        if not is_first:
            connection.settings_dict["TEST"]["TEMPLATE"] = shared.read_text()
        yield
        if is_first:
            connection.creation.clone_test_db(TEMPLATE, verbosity=0)
            shared.write_text(template_name())


def drop_template(folder: Path) -> None:
    """Delete the copy if it is this worker's. One that begins later migrates itself, and makes another."""
    shared = folder / "migrated.txt"
    with locked(folder):
        if shared.exists() and shared.read_text() == template_name():
            connections[DEFAULT_DB_ALIAS].creation.destroy_test_db(suffix=TEMPLATE, verbosity=0)
            shared.unlink()


def template_name() -> str:
    return str(connections[DEFAULT_DB_ALIAS].creation.get_test_db_clone_settings(TEMPLATE)["NAME"])


@contextlib.contextmanager
def share_file(folder: Path) -> Iterator[None]:
    """SQLite: let `migrate` keep its result in the workers' folder, or begin with that of the first worker."""
    handle: Any = migrate.Command.handle
    shared = folder / "migrated.sqlite3"

    def begin_with_shared(self: migrate.Command, *args: Any, **options: Any) -> None:
        connection = connections[DEFAULT_DB_ALIAS]
        connection.ensure_connection()
        with locked(folder):
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
