"""`python -m tests.flaky`: find tests that fail by chance. Called by `make flaky`.

Runs the suite repeatedly, each time in another order and under a load. Then it reports which tests failed, how often
and with which seeds: a seed repeats the order of its run. The logs of all runs are kept.
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.backends.services import find_missing
from tests.halves import Half, embedded, services

LOADS = ("cpu", "disk", "stops")
DEFAULT_LOADS = "cpu,disk"
BUSY_PROCESSES = 2
STOP_SECONDS = (1.0, 5.0)  # how long a process stands still, and
GO_SECONDS = (0.0, 2.0)  # how long all of them run in between
# Happens when only some files are selected, and one of the halves has no test in them.
NOTHING_TO_RUN = pytest.ExitCode.NO_TESTS_COLLECTED


def is_wanted() -> bool:
    """Whether the search still runs. A load ends with it, even if the search was killed."""
    parent = multiprocessing.parent_process()
    return parent is not None and parent.pid == os.getppid()


def keep_busy() -> None:
    """Use a core as much as the system allows."""
    while is_wanted():
        pass


def write_to_disk(directory: Path) -> None:
    """Write to a file in the directory, and force each write to the disk."""
    block = os.urandom(1 << 20)
    with tempfile.TemporaryFile(dir=directory) as file:
        while is_wanted():
            file.seek(0)
            for _ in range(16):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())


def stop_processes() -> None:
    """Let a process of the run stand still for a while, then another one: as on a machine that has no time for it."""
    while is_wanted():
        if pids := find_processes(os.getppid()):
            stand_still(random.choice(pids), random.uniform(*STOP_SECONDS))
        time.sleep(random.uniform(*GO_SECONDS))


def find_processes(search: int) -> list[int]:
    """The process ids of pytest, which `search` has started, and of all that it has started itself."""
    children = defaultdict(list)
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            children[int(status.read_text().rpartition(")")[2].split()[1])].append(int(status.parent.name))
    found = [pid for pid in children[search] if is_pytest(pid)]
    for pid in found:
        found += children[pid]
    return found


def is_pytest(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"pytest" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False


def stand_still(pid: int, seconds: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        try:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and is_wanted():
                time.sleep(0.1)
        finally:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def loaded(kinds: list[str], directory: Path) -> Iterator[None]:
    """Keep the machine busy with loads of these kinds while the body runs."""
    processes = []
    if "cpu" in kinds:
        processes += [multiprocessing.Process(target=keep_busy, daemon=True) for _ in range(BUSY_PROCESSES)]
    if "disk" in kinds:
        processes += [multiprocessing.Process(target=write_to_disk, args=[directory], daemon=True)]
    if "stops" in kinds:
        processes += [multiprocessing.Process(target=stop_processes, daemon=True)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def find_halves() -> dict[str, Half]:
    """The runs that make up `make test`, each with its environment and its options."""
    if missing := find_missing():
        print("Embedded only:", *missing, sep="\n  ")
        return {"embedded": embedded()}
    return {"embedded": embedded(), "services": services()}


def run_once(name: Path, seed: int, env: dict[str, str], options: list[str], *, one_core: bool) -> list[str]:
    """Run the suite once. Returns what failed. `name` is the path of the run's log and results, without a suffix."""
    results = name.with_suffix(".xml")
    command = [sys.executable, "-m", "pytest", "--shuffle", str(seed), "-o", "junit_family=xunit1"]
    pin = (lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})) if one_core else None
    with name.with_suffix(".log").open("wb") as log:
        code = subprocess.run(
            [*command, f"--junit-xml={results}", *options], stdout=log, stderr=log, env=env, preexec_fn=pin, check=False
        ).returncode
    return read_failures(code, results)


def read_failures(code: int, results: Path) -> list[str]:
    """The tests that failed in a run, given its exit code and its results."""
    if code == NOTHING_TO_RUN:
        return []
    if code not in (0, 1) or not results.exists():
        return [f"pytest itself (exit code {code})"]
    cases = ElementTree.parse(results).iter("testcase")
    broken = (case for case in cases if case.find("failure") is not None or case.find("error") is not None)
    return [f"{case.get('file')}::{case.get('name')}" for case in broken]


def report(found: dict[str, list[str]], count: int) -> None:
    print(f"\nTests that failed in {count} runs: {len(found)}")
    for test, labels in sorted(found.items(), key=lambda item: -len(item[1])):
        print(f"  {len(labels)}x {test}")
        print(f"      {', '.join(labels)}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.flaky", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seed", type=int, help="of the order of every run; else each run draws its own")
    parser.add_argument("--load", default=DEFAULT_LOADS, help=f"any of {','.join(LOADS)}; none for a quiet machine")
    parser.add_argument("--one-core", action="store_true", help="pin the suite, but not the load, to one core")
    parser.add_argument("--logs", type=Path, default=Path("var/flaky"))
    parser.add_argument("options", nargs="*", help="for pytest; after --")
    arguments = parser.parse_args()
    kinds = arguments.load.split(",") if arguments.load not in ("", "none") else []
    if unknown := set(kinds) - set(LOADS):
        parser.error(f"no such load: {', '.join(sorted(unknown))}")
    arguments.logs.mkdir(parents=True, exist_ok=True)

    found: defaultdict[str, list[str]] = defaultdict(list)
    runs = find_halves()
    with loaded(kinds, arguments.logs):
        for number in range(1, arguments.runs + 1):
            seed = arguments.seed if arguments.seed is not None else random.randrange(1_000_000)
            for half, (env, options) in runs.items():
                name = arguments.logs / f"{time.strftime('%H%M%S')}-{half}-{seed}"
                started = time.monotonic()
                failed = run_once(name, seed, env, [*options, *arguments.options], one_core=arguments.one_core)
                seconds = time.monotonic() - started
                label = f"{half} SEED={seed}"
                print(f"{number}/{arguments.runs} {label}: {len(failed)} failed, {seconds:.0f} s", flush=True)
                for test in failed:
                    print(f"    {test}", flush=True)
                    found[test].append(label)
    report(found, arguments.runs)
    print(f"The logs are in {arguments.logs}/")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
