"""The cases of notifications: many recipients at once, one reader with very many, mails to very many, and the lists of
the admin with very many rows. Called by `bench.run`.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

import msgspec

from bench.announcing import answer
from bench.cases import ROOM, Bench, ports_of, warm_up
from bench.contenders import Options, Ours
from bench.load import Result, held_connections, run_load
from bench.notifying import MANY
from bench.report import AT_MOST, LIMIT, Claim, Finding, Requirement
from bench.servers import LOAD_CORE, ROOT
from bench.tables import MILLION

RECIPIENTS, ONLINE = 10_000, 500
FEWER, MORE = 1_000, 10_000  # readers of digests
QUICK_ROWS = 20_000
CHAT = {**ROOM, "n": 50, "fanout": 50, "senders": 1, "rate": 20}


@dataclass(frozen=True)
class Round:
    """The same chat alone and beside a process of the site, and how many milliseconds that took for what it did."""

    alone: Result
    beside: Result
    times: dict[str, float]


def notify(bench: Bench) -> None:
    """One process of the site notifies many users of whom some are online, while others chat."""
    if bench.peers_only:
        return
    ours = bench.distributed
    assert isinstance(ours, Ours)
    with bench.failures_kept("notify"), ours.running() as servers:
        ports, load = ports_of(servers), chat_of(bench, ours)
        warm_up(ports, load)
        with held_connections(ports, ours.connection_options("idle") | {"n": ONLINE}):
            rounds = [notify_beside_chat(ours, ports, load) for _ in range(bench.repeat)]
        note(bench, "notify", ours, rounds, {"ms": f"ms for {RECIPIENTS:,} recipients"}, Requirement(AT_MOST, 2))


def inbox(bench: Bench) -> None:
    """One reader with very many notifications counts them, and reads all and undoes it while others chat."""
    if bench.peers_only:
        return
    for ours in bench.ours:
        assert isinstance(ours, Ours)
        when = "" if ours.embedded else ", vacuumed before"
        names = {"read_ms": f"ms to read all, of {MANY:,}{when}", "undo_ms": f"ms to undo that, of {MANY:,}{when}"}
        with bench.failures_kept("inbox"), ours.running() as servers:
            ports, load = ports_of(servers), chat_of(bench, ours)
            warm_up(ports, load)
            with start_site(ours, "inbox", 0) as site:
                count = read_figures(site)["count_us"]
                plan = msgspec.json.decode(answer(site, ""), type=str)
                print(f"  inbox: {ours.name}: the count: {plan}", flush=True)
                rounds = [work_beside_chat("inbox", site, ports, load) for _ in range(bench.repeat)]
            claim = Claim("inbox", f"µs to count, of {MANY:,}", Requirement(LIMIT, 5_000))
            bench.findings.append(Finding(claim, ours.name, count))
            note(bench, "inbox", ours, rounds, names)


def digest(bench: Bench) -> None:
    """One process sends a digest to each of many readers. What it asks the database grows with pages of them alone."""
    if bench.peers_only:
        return
    for ours in bench.ours:
        assert isinstance(ours, Ours)
        for readers in (FEWER,) if bench.quick else (FEWER, MORE):
            with bench.failures_kept("digest"), start_site(ours, "digest", readers, "bench.tables") as site:
                figures = read_figures(site)
            print(f"  digest: {ours.name}: {readers:,} readers in {figures['seconds']:.1f} s", flush=True)
            claim = Claim("digest", f"queries a page of 100, of {readers:,} readers", Requirement(LIMIT, 50))
            bench.findings.append(Finding(claim, ours.name, figures["queries"]))


def lists(bench: Bench) -> None:
    """Staff look through the lists of the admin, of notifications, of mails and of announcements."""
    if bench.peers_only:
        return
    rows = QUICK_ROWS if bench.quick else MILLION
    for ours in bench.ours:
        assert isinstance(ours, Ours)
        with bench.failures_kept("lists"), start_site(ours, "lists", rows, "bench.tables") as site:
            pages = read_figures(site)
            print(*(f"  lists: {ours.name}: {name}: {ms:,.0f} ms" for name, ms in pages.items()), sep="\n", flush=True)
            claim = Claim("lists", f"ms for the slowest page, of {rows:,} rows", Requirement(LIMIT, 1_000))
            bench.findings.append(Finding(claim, ours.name, max(pages.values())))


def chat_of(bench: Bench, ours: Ours) -> Options:
    return ours.connection_options("room") | CHAT | {"duration": bench.seconds(10)}


def notify_beside_chat(ours: Ours, ports: list[int], load: Options) -> Round:
    """Raises LoadFailed."""
    with start_site(ours, "notify", RECIPIENTS) as site:
        read_figures(site)
        return work_beside_chat("notify", site, ports, load)


def work_beside_chat(case: str, site: subprocess.Popen[str], ports: list[int], load: Options) -> Round:
    """The site does the work of a line of its input. Raises LoadFailed."""
    alone = run_load(ports, load, goes_first=True)
    assert site.stdin is not None
    print(file=site.stdin, flush=True)
    return describe(case, Round(alone, run_load(ports, load, goes_first=True), read_figures(site)))


def describe(case: str, one: Round) -> Round:
    times = ", ".join(f"{name} {value:,.0f}" for name, value in one.times.items())
    p99 = f"{one.beside.delivery_us.p99 / 1000:.1f} ms, without it {one.alone.delivery_us.p99 / 1000:.1f} ms"
    print(f"  {case}: {times}; p99 of a chat message {p99}", flush=True)
    return one


def note(
    bench: Bench,
    case: str,
    ours: Ours,
    rounds: list[Round],
    names: dict[str, str],
    chat: Requirement | None = None,
) -> None:
    """Add the findings, with a second as the limit of each time, and what went wrong in the chat."""
    for result in (result for one in rounds for result in (one.alone, one.beside)):
        bench.failures += [f"{case}: {text}" for text in result.complaints()]
    for key, name in names.items():
        claim = Claim(case, name, Requirement(LIMIT, 1_000))
        bench.findings.append(Finding(claim, ours.name, median(one.times[key] for one in rounds)))
    claim = Claim(case, "p99 µs of a chat message meanwhile", chat)
    beside, alone = median_p99(one.beside for one in rounds), median_p99(one.alone for one in rounds)
    bench.findings.append(Finding(claim, ours.name, beside, "without it", alone))


def median_p99(results: Iterable[Result]) -> float:
    return median(result.delivery_us.p99 for result in results)


def start_site(ours: Ours, case: str, count: int, module: str = "bench.notifying") -> subprocess.Popen[str]:
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", module, case, str(count)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | ours.prepare(), text=True, **pipes)


def read_figures(site: subprocess.Popen[str]) -> dict[str, float]:
    """Wait for the next line of such a process. Raises LoadFailed."""
    return msgspec.json.decode(answer(site, ""), type=dict[str, float])
