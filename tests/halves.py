"""`python -m tests.halves`: run the whole suite. Called by `make test`; `tests.flaky` runs the same halves.

The suite runs on SQLite and memory and, if PostgreSQL and Redis answer, once more on those. Both halves run at the same
time, because tests of processes wait a lot. The output of the second one follows when the first has ended.
"""

import argparse
import os
import subprocess
import sys
import tempfile

from tests.backends.services import find_missing

# Tests of processes start a Redis and a PostgreSQL of their own. What needs a server runs on both kinds in the first
# half, and on one of them here. What the packages import does not depend on servers.
SERVICES_ONLY = ["-m", "not process and not browser", "--one-kind", "-p", "no:cacheprovider"]
SERVICES_ONLY += ["--ignore=tests/test_packages.py"]

Half = tuple[dict[str, str], list[str]]


def embedded() -> Half:
    """The environment and the options of pytest for SQLite and memory."""
    return {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}, []


def services() -> Half:
    """The same for PostgreSQL and Redis."""
    urls = {"DATABASE_URL": os.environ["TEST_DATABASE_URL"], "REDIS_URL": os.environ["TEST_REDIS_URL"]}
    return {**embedded()[0], **urls}, SERVICES_ONLY


def start(half: Half, jobs: int, output: int | None = None) -> subprocess.Popen[bytes]:
    env, options = half
    command = [sys.executable, "-m", "pytest", "-n", str(jobs), *options]
    return subprocess.Popen(command, env=env, stdout=output, stderr=output)


def run_both(jobs: int) -> int:
    """Run both halves at once. Returns 0 if both pass."""
    with tempfile.TemporaryFile() as output:
        # Few of its tests wait for anything, and each worker has to load all tests first.
        second = start(services(), max(1, jobs // 2), output.fileno())
        codes = [start(embedded(), max(1, jobs - 1)).wait(), second.wait()]
        output.seek(0)
        print("\nThe same on PostgreSQL and Redis", flush=True)
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    return int(any(codes))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.halves", description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=4, help="workers, of which each half gets fewer if both run")
    jobs = parser.parse_args().jobs
    if not (missing := find_missing()):
        return run_both(jobs)
    print(*missing, sep="\n")
    if os.environ.get("CI") == "true":
        return 1
    code = start(embedded(), jobs).wait()
    print("NOT TESTED: PostgreSQL and Redis. The tests above ran on SQLite and memory only.")
    return code


if __name__ == "__main__":
    sys.exit(main())
