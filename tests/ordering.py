"""Which tests a run has, and in which order: parts, chance, and workers of pytest-xdist (pure). Used by `conftest`."""

import random
import re
from collections import defaultdict
from pathlib import Path
from zlib import crc32

import pytest

from tests.sites.in_process import AsgiServer, InProcessServer, TcpServer

# The kinds of servers that tests with the fixture `site` run on.
SERVERS: list[type[InProcessServer]] = [AsgiServer, TcpServer]


def is_of_other_part(item: pytest.Item, part: int) -> bool:
    """Whether the test belongs to the other part. Either part has each test on one kind of server, by its name."""
    callspec = getattr(item, "callspec", None)
    if callspec is None or "site" not in callspec.params:
        return False
    name = re.sub("queue|direct", "", item.nodeid)
    return bool(SERVERS[(crc32(name.encode()) + part) % 2] is not callspec.params["site"])


def shuffle(items: list[pytest.Item], chance: random.Random) -> list[pytest.Item]:
    """Shuffle the files, and the tests in each file. The tests of a file stay together, as they may share a fixture."""
    files = by_file(items)
    order = sorted(files)
    chance.shuffle(order)
    for tests in files.values():
        chance.shuffle(tests)
    return [item for path in order for item in files[path]]


def spread(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Let every worker begin with its share of the files that start real processes, which wait most of their time.

    One of them has all tests with a browser, so that one is started. `--dist worksteal` gives each worker an equal
    part of the list, from its beginning.
    """
    slow: dict[Path | str, list[pytest.Item]] = defaultdict(list)
    quick = []
    for path, tests in by_file(items).items():
        for item in tests:
            if item.get_closest_marker("browser"):
                slow["browser"].append(item)
            elif item.get_closest_marker("process"):
                slow[path].append(item)
            else:
                quick.append(item)
    piles: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for tests in sorted(slow.values(), key=len, reverse=True):
        min(piles, key=len).extend(tests)
    result, left = [], len(items)
    for number, pile in enumerate(piles):
        size = left // (workers - number)
        result += [*pile, *quick[: size - len(pile)]]
        quick, left = quick[max(0, size - len(pile)) :], left - size
    return [*result, *quick]


def by_file(items: list[pytest.Item]) -> dict[Path, list[pytest.Item]]:
    files = defaultdict(list)
    for item in items:
        files[item.path].append(item)
    return files
