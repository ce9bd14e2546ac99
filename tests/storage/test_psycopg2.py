"""What depends on the driver of PostgreSQL, with the older one: other tests once more, in a process of their own."""

import os
import subprocess
import sys

import pytest
from django.db import connection

from bench.servers import ROOT

FILES = ["tests/storage/test_database.py", "tests/storage/test_isolation.py", "tests/storage/test_lost_commits.py"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="drivers of PostgreSQL")
def test_it_works_with_psycopg2():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    options = ["-p", "tests.backends.psycopg2", "-p", "no:cacheprovider", "--no-migrations"]
    options += ["-k", "not pool"]  # which psycopg2 lacks
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", *options, *FILES],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
