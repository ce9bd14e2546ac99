"""The parts of the suite: which there are, what decides about their success, and what the second half leaves out."""

import sys
from types import SimpleNamespace

import pytest

from tests import halves, ordering


@pytest.fixture
def ends(monkeypatch, capfdbinary):
    """Runs `main` with parts that write their name and end with these codes. Returns its code and what it printed."""

    def run(*codes, missing=()):
        waiting = dict(zip(["first", "library", "second"], codes, strict=False))

        def program(name, jobs=0):
            code = f"import sys; print({name!r}, {jobs}, *sys.argv[1:]); raise SystemExit({waiting.pop(name)})"
            return [sys.executable, "-c", code]

        monkeypatch.setattr(halves, "command", lambda half, jobs: program("second" if half[1] else "first", jobs))
        monkeypatch.setattr(halves, "find_missing", lambda: list(missing))
        monkeypatch.setattr(sys, "argv", ["halves", "--jobs", "5"])
        monkeypatch.setenv("TEST_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
        monkeypatch.setenv("TEST_REDIS_URL", "redis://127.0.0.1:1/0")
        monkeypatch.setattr(halves, "LIBRARY", program("library"))
        result = halves.main()
        return result, capfdbinary.readouterr().out.decode()

    return run


@pytest.mark.parametrize(("codes", "code"), [((0, 0, 0), 0), ((1, 0, 0), 1), ((0, 2, 0), 1), ((0, 0, 1), 1)])
def test_all_have_to_pass(ends, codes, code):
    result, output = ends(*codes)
    assert result == code
    assert output.split("\n\n") == [
        "first 3 --part 0",
        "The browser library\nlibrary 0",
        "The same on PostgreSQL and Redis\nsecond 2 --part 1\n",
    ]


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 1)])
def test_without_servers_it_says_what_was_not_tested(ends, monkeypatch, codes):
    monkeypatch.delenv("CI", raising=False)
    result, output = ends(*codes, missing=["Redis does not answer"])
    assert result == any(codes)
    assert output.startswith(
        "Redis does not answer\nfirst 5\n\nThe browser library\nlibrary 0\n\nNOT TESTED: PostgreSQL"
    )


def test_ci_does_not_do_without_servers(ends, monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert ends(0, 0, missing=["Redis does not answer"]) == (1, "Redis does not answer\n")


def test_the_second_one_has_the_servers_and_the_first_one_none(monkeypatch):
    for name in ("DATABASE_URL", "REDIS_URL", "TEST_DATABASE_URL", "TEST_REDIS_URL"):
        monkeypatch.setenv(name, f"the {name}")
    assert not {"DATABASE_URL", "REDIS_URL"} & halves.embedded()[0].keys()
    env, _ = halves.services()
    assert (env["DATABASE_URL"], env["REDIS_URL"]) == ("the TEST_DATABASE_URL", "the TEST_REDIS_URL")


def test_each_part_has_each_test_on_another_kind():
    chosen = []
    for number in range(100):
        kinds = [
            SimpleNamespace(
                nodeid=f"test_a.py::test_{number}[{name}-x]", callspec=SimpleNamespace(params={"site": kind})
            )
            for name, kind in zip(["queue", "direct"], ordering.SERVERS, strict=True)
        ]
        others, ours = ([ordering.is_of_other_part(item, part) for item in kinds] for part in (0, 1))
        assert sorted(others) == [False, True]
        assert ours == others[::-1]
        chosen.append(others[0])
    assert 30 < sum(chosen) < 70
    for part in (0, 1):
        assert not ordering.is_of_other_part(SimpleNamespace(nodeid="test_a.py::test_b"), part)
        assert not ordering.is_of_other_part(
            SimpleNamespace(nodeid="t", callspec=SimpleNamespace(params={"n": 1})), part
        )
