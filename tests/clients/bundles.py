"""Front ends for tests in a browser: bundled by the tools of `client/`, with the library from its sources."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sites.processes import ROOT, find_binary

CLIENT = ROOT / "client"
# What Django serves of the library.
BUILT = ROOT / "realtime" / "static" / "realtime"


def find_packages() -> Path:
    """Where the packages of `client/` are. If they are not installed, the test is skipped, but in CI it fails."""
    packages = CLIENT / "node_modules"
    if not packages.exists():
        message = "the packages of client/ are not installed; `make client` does it"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return packages


def bundle(directory: Path, entry: str, files: dict[str, str]) -> str:
    """Write these files, and return `entry` as one module, with all that it imports."""
    find_packages()
    for name, text in files.items():
        (directory / name).write_text(text)
    node = shutil.which("node", path=str(Path(sys.executable).parent)) or find_binary("node")
    command = [node, str(CLIENT / "tests" / "bundle.mjs"), str(directory / entry)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
