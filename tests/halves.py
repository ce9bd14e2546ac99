"""`python -m tests.halves`: run the whole suite. Called by `make test`; `tests.flaky` runs the same halves.

The suite runs on SQLite and memory and, if PostgreSQL and Redis answer, once more on those. Both halves run at the same
time, and the tests of the browser library beside them, because tests of processes wait a lot. What those have written
follows when the first half has ended.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile

from tests.backends.services import find_missing

# Tests of processes start a Redis and a PostgreSQL of their own. A test that needs a server runs on one of the two
# kinds in the first half, and on the other one in the second. The rest neither reads nor writes anything.
WITHOUT_SERVERS = ["tests/asyncapi", "tests/chaos", "tests/protocol", "tests/test_packages.py"]
SERVICES_ONLY = ["-m", "not process and not browser", *(f"--ignore={path}" for path in WITHOUT_SERVERS)]
PARTS = [["--part", "0"], ["--part", "1"]]

LIBRARY = ["make", "--no-print-directory", "client-test"]

Half = tuple[dict[str, str], list[str]]


def embedded() -> Half:
    """The environment and the options of pytest for SQLite and memory."""
    return {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}, []


def services() -> Half:
    """The same for PostgreSQL and Redis."""
    urls = {"DATABASE_URL": os.environ["TEST_DATABASE_URL"], "REDIS_URL": os.environ["TEST_REDIS_URL"]}
    return {**embedded()[0], **urls}, SERVICES_ONLY


def command(half: Half, jobs: int) -> list[str]:
    return [sys.executable, "-m", "pytest", "-n", str(jobs), *half[1]]


def run_all(jobs: int, *, both: bool) -> int:
    """Run the first half or both, and the tests of the browser library. Returns 0 if all pass."""
    first, options = embedded(), []
    beside = {"The browser library": (LIBRARY, first[0])}
    if both:
        # The tests of the first half wait more, and take longer.
        fewer = max(1, jobs // 2)
        jobs = max(1, jobs - fewer)
        second, (options, others) = services(), PARTS
        beside["The same on PostgreSQL and Redis"] = ([*command(second, fewer), *others], second[0])
    with contextlib.ExitStack() as stack:
        running = []
        for title, (arguments, env) in beside.items():
            output = stack.enter_context(tempfile.TemporaryFile())
            running.append((title, output, subprocess.Popen(arguments, env=env, stdout=output, stderr=output)))
        codes = [subprocess.call([*command(first, jobs), *options], env=first[0])]
        for title, output, process in running:
            codes.append(process.wait())
            output.seek(0)
            print(f"\n{title}", flush=True)
            sys.stdout.buffer.write(output.read())
            sys.stdout.flush()
    return int(any(codes))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.halves", description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=5, help="workers, of which each half gets fewer if both run")
    jobs = parser.parse_args().jobs
    if not (missing := find_missing()):
        return run_all(jobs, both=True)
    print(*missing, sep="\n", flush=True)
    if os.environ.get("CI") == "true":
        return 1
    code = run_all(jobs, both=False)
    print("\nNOT TESTED: PostgreSQL and Redis. The tests above ran on SQLite and memory only.")
    return code


if __name__ == "__main__":
    sys.exit(main())
