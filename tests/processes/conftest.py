"""The databases of the sites that tests start as real processes: copies of what is made once in a run."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sites.once import make_once
from tests.sites.processes import Site


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with tables, users and rooms."""
    return make_once(tmp_path_factory, "site.sqlite3", lambda path: Site(SQLITE_PATH=str(path)).prepare())


@pytest.fixture(scope="session")
def new_database(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Makes databases with the same users and rooms, and returns their paths."""
    return lambda: str(shutil.copy(template, tmp_path_factory.mktemp("site") / "db.sqlite3"))


@pytest.fixture
def small_database(template: Path, tmp_path: Path) -> Path:
    """The same for a small site in the folder of the test, whose tables are among those."""
    return Path(shutil.copy(template, tmp_path / "db.sqlite3"))
