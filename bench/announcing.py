"""The case of an announcement: one row and one event, and every open socket has it soon. Called by `bench.run`."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import msgspec

from bench.announcer import Cost
from bench.cases import PAUSE_SECONDS, Bench, ports_of, require_alive, warm_up
from bench.contenders import Contender
from bench.load import LoadFailed, Result, listeners
from bench.report import LIMIT, Claim, Finding, Requirement
from bench.servers import LOAD_CORE, ROOT

USERS, ONLINE = 100_000, 2_000
QUICK_USERS, QUICK_ONLINE = 5_000, 300
LIMIT_MS = 1_000
HOLD_SECONDS = 15  # while the sockets listen; the announcement is made at the beginning


@dataclass(frozen=True)
class Heard:
    """One announcement: what it has cost, and what the listeners got."""

    cost: Cost
    result: Result

    @property
    def last_ms(self) -> float:
        return self.result.delivery_us.max / 1000


def announcement(bench: Bench) -> None:
    if bench.peers_only:
        return
    with bench.failures_kept("announcement"):
        heard = announce_repeatedly(bench, bench.distributed)
        bench.findings += findings(bench.distributed.name, heard)


def announce_repeatedly(bench: Bench, contender: Contender) -> list[Heard]:
    """Announce to a crowd that listens, on one server. Raises LoadFailed, ServerFailed."""
    users, online = (QUICK_USERS, QUICK_ONLINE) if bench.quick else (USERS, ONLINE)
    heard = []
    with contender.running() as servers:
        options = contender.connection_options("idle")
        warm_up(ports_of(servers), options | {"count": 0})
        for _ in range(bench.repeat):
            time.sleep(PAUSE_SECONDS)
            with announcer(contender.prepare(), users) as process:
                hearing = options | {"n": online, "marker": '"announcement"', "hold": HOLD_SECONDS}
                with listeners(ports_of(servers), hearing) as finish:
                    cost = msgspec.json.decode(answer(process, "\n"), type=Cost)
                    heard.append(Heard(cost, finish()))
            require_alive(servers)
            print(f"  announcement: {describe(heard[-1])}", flush=True)
    return heard


@contextmanager
def announcer(environment: dict[str, str], users: int) -> Iterator[subprocess.Popen[str]]:
    """A process that is ready to announce. It is killed at the end of the block."""
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "bench.announcer", str(users)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            answer(process, "")
            yield process
        finally:
            process.kill()


def answer(process: subprocess.Popen[str], line: str) -> str:
    """The next line that the process prints, after `line` was given to it. Raises LoadFailed."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(line)
    process.stdin.flush()
    said = process.stdout.readline()
    if not said:
        raise LoadFailed(f"it ended: {process.stderr.read()}")
    return said


def findings(name: str, heard: list[Heard]) -> list[Finding]:
    worst = {
        "rows for one announcement": max(one.cost.announcements + one.cost.states for one in heard),
        "events for one announcement": max(one.cost.events for one in heard),
        "sockets that did not get it": max(one.result.ready - one.result.deliveries for one in heard),
    }
    limits = {"rows for one announcement": 1, "events for one announcement": 1, "sockets that did not get it": 0}
    late = Finding(
        Claim("announcement", "ms until all online have it", Requirement(LIMIT, LIMIT_MS)),
        name,
        median(one.last_ms for one in heard),
    )
    claims = {figure: Claim("announcement", figure, Requirement(LIMIT, limit)) for figure, limit in limits.items()}
    return [late, *(Finding(claims[figure], name, value) for figure, value in worst.items())]


def describe(heard: Heard) -> str:
    cost, result = heard.cost, heard.result
    rows = f"{cost.announcements} + {cost.states} rows, {cost.events} events for {cost.reached:,} users"
    times = f"p50 {result.delivery_us.p50 / 1000:,.0f} ms, the last after {heard.last_ms:,.0f} ms"
    return f"{rows}; {result.deliveries} of {result.ready} sockets: {times}; the call took {cost.call_ms:,.0f} ms"
