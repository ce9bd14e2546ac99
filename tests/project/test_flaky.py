"""The search for tests that fail by chance: its orders, its stops, and what it reads out of a run."""

import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import flaky, ordering
from tests.sites.processes import wait_until

RESULTS = """<testsuites><testsuite>
<testcase file="tests/test_a.py" name="test_passes" />
<testcase file="tests/test_a.py" name="test_fails[1]"><failure message="no" /></testcase>
<testcase file="tests/test_a.py" name="test_ends_badly"><error message="no" /></testcase>
<testcase file="tests/test_a.py" name="test_is_left_out"><skipped message="no" /></testcase>
</testsuite></testsuites>"""


def make_items(files, mark=""):
    def find(name):
        return name if name == mark else None

    return [
        SimpleNamespace(path=Path(file), name=f"{file}{number}", get_closest_marker=find)
        for file, count in files.items()
        for number in range(count)
    ]


def ordered(seed):
    return [item.name for item in ordering.shuffle(make_items({"a": 9, "b": 9, "c": 9}), random.Random(seed))]


def test_a_seed_is_an_order_and_each_file_stays_together():
    assert ordered(1) == ordered(1)
    assert ordered(1) != ordered(2)
    assert sorted(ordered(1)) == sorted(ordered(2))
    assert sum(one[0] != other[0] for one, other in pairwise(ordered(1))) == 2


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_every_worker_begins_with_files_that_start_processes(workers):
    quick, slow = make_items({"a": 40, "b": 20}), make_items({"x": 5, "y": 3, "z": 2}, mark="process")
    order = ordering.spread([*quick[:10], *slow, *quick[10:]], workers)
    assert sorted(item.name for item in order) == sorted(item.name for item in (*quick, *slow))
    assert [item for item in order if item in quick] == quick
    size = len(order) / workers
    begins = {order[round(number * size)].name[0] for number in range(workers)}
    assert begins & {"x", "y", "z"} == set("xyz"[: min(workers, 3)] if workers > 1 else "x")


def test_one_worker_has_all_tests_with_a_browser():
    quick, slow = make_items({"a": 40}), make_items({"x": 9, "y": 8}, mark="process")
    pages = make_items({"p": 6, "q": 6}, mark="browser")
    order = ordering.spread([*quick, *pages[:6], *slow, *pages[6:]], 3)
    assert sorted(item.name for item in order) == sorted(item.name for item in (*quick, *slow, *pages))
    begin = order.index(pages[0])
    assert order[begin : begin + 12] == pages


@pytest.mark.parametrize(
    ("code", "failed"),
    [
        (1, ["tests/test_a.py::test_fails[1]", "tests/test_a.py::test_ends_badly"]),
        (5, []),
        (2, ["pytest itself (exit code 2)"]),
        (-9, ["pytest itself (exit code -9)"]),
    ],
)
def test_it_says_what_failed(tmp_path, code, failed):
    results = tmp_path / "run.xml"
    results.write_text(RESULTS)
    assert flaky.read_failures(code, results) == failed


WITH_A_CHILD = "import subprocess; subprocess.run(['cat'])"


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_it_stops_any_process_of_the_run_and_lets_it_go_on(monkeypatch):
    others = set(flaky.find_processes(os.getpid()))
    with subprocess.Popen([sys.executable, "-c", WITH_A_CHILD, "pytest"], stdin=subprocess.PIPE) as run:
        pids = wait_until(lambda: set(flaky.find_processes(os.getpid())) - others)
        child = wait_until(lambda: set(flaky.find_processes(os.getpid())) - others - {run.pid}).pop()
        assert run.pid in pids
        states = []
        monkeypatch.setattr(flaky, "is_wanted", lambda: states.append(wait_until(lambda: state_of(child) == "T")))
        flaky.stand_still(child, 600)
        assert states == [True]
        wait_until(lambda: state_of(child) != "T")
        run.stdin.close()


def test_a_process_goes_on_when_the_search_is_interrupted(monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        monkeypatch.setattr(flaky, "is_wanted", interrupt)
        with pytest.raises(KeyboardInterrupt):
            flaky.stand_still(process.pid, 600)
        try:
            wait_until(lambda: state_of(process.pid) != "T")
        finally:
            process.kill()
