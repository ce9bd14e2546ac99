"""The two runs of the suite: which there are, what decides about their success, and what the second one leaves out."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests import conftest, halves


@pytest.fixture
def ends(monkeypatch, capfdbinary):
    """Runs `main` with halves that write their name and end with these codes. Returns its code and what it printed."""

    def run(*codes, missing=()):
        waiting = dict(zip(["first", "second"], codes, strict=False))

        def start(half, jobs, output=None):
            name = "second" if half[1] else "first"
            code = f"print({name!r}, {jobs}); raise SystemExit({waiting.pop(name)})"
            return subprocess.Popen([sys.executable, "-c", code], stdout=output)

        monkeypatch.setattr(halves, "start", start)
        monkeypatch.setattr(halves, "find_missing", lambda: list(missing))
        monkeypatch.setattr(sys, "argv", ["halves", "--jobs", "3"])
        monkeypatch.setenv("TEST_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
        monkeypatch.setenv("TEST_REDIS_URL", "redis://127.0.0.1:1/0")
        result = halves.main()
        assert not waiting or missing
        return result, capfdbinary.readouterr().out.decode()

    return run


@pytest.mark.parametrize(("codes", "code"), [((0, 0), 0), ((1, 0), 1), ((0, 2), 1), ((1, 1), 1)])
def test_both_have_to_pass(ends, codes, code):
    result, output = ends(*codes)
    assert result == code
    assert output.splitlines() == ["first 2", "", "The same on PostgreSQL and Redis", "second 1"]


@pytest.mark.parametrize("code", [0, 1])
def test_without_servers_it_says_what_was_not_tested(ends, monkeypatch, code):
    monkeypatch.delenv("CI", raising=False)
    result, output = ends(code, missing=["Redis does not answer"])
    assert result == code
    assert output.startswith("Redis does not answer\nfirst 3\nNOT TESTED: PostgreSQL and Redis.")


def test_ci_does_not_do_without_servers(ends, monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert ends(0, missing=["Redis does not answer"]) == (1, "Redis does not answer\n")


def test_the_second_one_has_the_servers_and_the_first_one_none(monkeypatch):
    for name in ("DATABASE_URL", "REDIS_URL", "TEST_DATABASE_URL", "TEST_REDIS_URL"):
        monkeypatch.setenv(name, f"the {name}")
    assert not {"DATABASE_URL", "REDIS_URL"} & halves.embedded()[0].keys()
    env, _ = halves.services()
    assert (env["DATABASE_URL"], env["REDIS_URL"]) == ("the TEST_DATABASE_URL", "the TEST_REDIS_URL")


def test_each_test_is_left_to_one_of_the_kinds():
    chosen = []
    for number in range(100):
        kinds = [
            SimpleNamespace(
                nodeid=f"test_a.py::test_{number}[{name}-x]", callspec=SimpleNamespace(params={"site": kind})
            )
            for name, kind in zip(["queue", "direct"], conftest.SERVERS, strict=True)
        ]
        others = [conftest.is_of_other_kind(item) for item in kinds]
        assert sorted(others) == [False, True]
        chosen.append(others[0])
    assert 30 < sum(chosen) < 70
    assert not conftest.is_of_other_kind(SimpleNamespace(nodeid="test_a.py::test_b"))
    assert not conftest.is_of_other_kind(SimpleNamespace(nodeid="t", callspec=SimpleNamespace(params={"n": 1})))
