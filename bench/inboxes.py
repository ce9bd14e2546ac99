"""The cases of notifications: many recipients at once, and one reader with very many. Called by `bench.run`."""

import os
import subprocess
import sys
from dataclasses import dataclass
from statistics import median

import msgspec

from bench.cases import ROOM, Bench, ports_of, warm_up
from bench.contenders import Options, Ours
from bench.load import LoadFailed, Result, held_connections, run_load
from bench.notifying import MANY
from bench.report import AT_MOST, LIMIT, Claim, Finding, Requirement
from bench.servers import LOAD_CORE, ROOT

RECIPIENTS, ONLINE = 10_000, 500
CHAT = {**ROOM, "n": 50, "fanout": 50, "senders": 1, "rate": 20}


@dataclass(frozen=True)
class Round:
    alone: Result
    beside: Result
    milliseconds: float


def notify(bench: Bench) -> None:
    """One process of the site notifies many users of whom some are online, while others chat."""
    if bench.peers_only:
        return
    ours = bench.distributed
    assert isinstance(ours, Ours)
    with bench.failures_kept("notify"), ours.running() as servers:
        ports, load = ports_of(servers), ours.connection_options("room") | CHAT | {"duration": bench.seconds(10)}
        warm_up(ports, load)
        with held_connections(ports, ours.connection_options("idle") | {"n": ONLINE}):
            rounds = [notify_beside_chat(ours, ports, load) for _ in range(bench.repeat)]
        complaints = [text for one in rounds for text in (*one.alone.complaints(), *one.beside.complaints())]
        bench.failures += [f"notify: {text}" for text in complaints]
        each = Claim("notify", f"ms for {RECIPIENTS:,} recipients", Requirement(LIMIT, 1_000))
        chat = Claim("notify", "p99 µs of a chat message meanwhile", Requirement(AT_MOST, 2))
        bench.findings += [
            Finding(each, ours.name, median(one.milliseconds for one in rounds)),
            Finding(
                chat,
                ours.name,
                median(one.beside.delivery_us.p99 for one in rounds),
                "without it",
                median(one.alone.delivery_us.p99 for one in rounds),
            ),
        ]


def notify_beside_chat(ours: Ours, ports: list[int], load: Options) -> Round:
    """The same chat alone, and then while a process of the site notifies. Raises LoadFailed."""
    alone = run_load(ports, load)
    with start_site(ours, "notify", RECIPIENTS) as site:
        one = Round(alone, run_load(ports, load), read_figures(site)["ms"])
    chat = f"{one.beside.delivery_us.p99 / 1000:.1f} ms, without it {alone.delivery_us.p99 / 1000:.1f} ms"
    print(f"  notify: {one.milliseconds:,.0f} ms for {RECIPIENTS:,}; p99 of a chat message {chat}", flush=True)
    return one


def inbox(bench: Bench) -> None:
    """One reader with very many notifications counts them, reads all, and undoes it."""
    if bench.peers_only:
        return
    limits = {"count_us": 5_000, "read_ms": 1_000, "undo_ms": 1_000}
    names = {"count_us": "µs to count", "read_ms": "ms to read all", "undo_ms": "ms to undo that"}
    for ours in bench.ours:
        assert isinstance(ours, Ours)
        with bench.failures_kept("inbox"):
            ours.prepare()
            with start_site(ours, "inbox", 0) as site:
                figures = read_figures(site)
            bench.findings += [
                Finding(
                    Claim("inbox", f"{names[key]}, of {MANY:,}", Requirement(LIMIT, limit)), ours.name, figures[key]
                )
                for key, limit in limits.items()
            ]


def start_site(ours: Ours, case: str, users: int) -> subprocess.Popen[str]:
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "bench.notifying", case, str(users)]
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ | ours.prepare(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def read_figures(site: subprocess.Popen[str]) -> dict[str, float]:
    """Wait for the end of `bench.notifying`. Raises LoadFailed."""
    said, complaint = site.communicate()
    if site.returncode:
        raise LoadFailed(f"notifying ended with {site.returncode}: {complaint}")
    return msgspec.json.decode(said.splitlines()[-1], type=dict[str, float])
