"""What is made once in a run of the tests, however many workers of pytest-xdist need it. Used by fixtures."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def make_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A file or directory of this name. The first worker of pytest-xdist that needs it makes it for all."""
    directory = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        directory = directory.parent
    path, unfinished = directory / name, directory / f"unfinished-{name}"
    with (directory / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            make(unfinished)
            unfinished.rename(path)
    return path
