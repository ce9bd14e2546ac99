"""The database of every site that a test starts as a real process."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sites.processes import Site


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with tables, users and rooms. The first worker of pytest-xdist that needs it makes it for all."""
    directory = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        directory = directory.parent
    path, unfinished = directory / "template.sqlite3", directory / "unfinished.sqlite3"
    with (directory / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            Site(SQLITE_PATH=str(unfinished)).prepare()
            unfinished.rename(path)
    return path


@pytest.fixture(scope="session")
def new_database(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Makes databases with the same users and rooms, and returns their paths."""
    return lambda: str(shutil.copy(template, tmp_path_factory.mktemp("site") / "db.sqlite3"))
