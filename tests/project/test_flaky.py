"""The search for tests that fail by chance: its orders, and what it reads out of a run."""

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import conftest, flaky

RESULTS = """<testsuites><testsuite>
<testcase file="tests/test_a.py" name="test_passes" />
<testcase file="tests/test_a.py" name="test_fails[1]"><failure message="no" /></testcase>
<testcase file="tests/test_a.py" name="test_ends_badly"><error message="no" /></testcase>
<testcase file="tests/test_a.py" name="test_is_left_out"><skipped message="no" /></testcase>
</testsuite></testsuites>"""


def ordered(seed):
    items = [SimpleNamespace(path=Path(file), name=f"{file}{number}") for file in "abc" for number in range(9)]
    conftest.pytest_collection_modifyitems(SimpleNamespace(getoption=lambda _name: seed), items)
    return [item.name for item in items]


def test_a_seed_is_an_order_and_each_file_stays_together():
    assert ordered(1) == ordered(1)
    assert ordered(1) != ordered(2) != ordered(None)
    assert sorted(ordered(1)) == ordered(None)
    assert sum(one[0] != other[0] for one, other in pairwise(ordered(1))) == 2


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
