"""One run: a plan is carried out while clients talk; then everything is up, all is still, and the verdict is given."""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.chaos.breakage import World, open_world
from tests.chaos.client import TORN, Client
from tests.chaos.history import History
from tests.chaos.plan import FULL_SECONDS, OUTAGES, READERS, ROAD_ACTIONS, SILENT_SECONDS, WRITERS, Step, make_plan
from tests.chaos.reader import GROUPED, WITHDRAWN, Reader
from tests.chaos.record import read_record
from tests.chaos.road import now
from tests.chaos.verdict import judge
from tests.sites.processes import SiteProcess, health, show_logs

SETTLE_SECONDS = 120.0  # only a run that fails waits that long
MOST_BYTES = 400_000_000  # of a server; one that has served all of these clients has 150 MB
LEAST_ACKED_PER_SECOND = 0.2  # of a client that writes about once a second
LEAST_NOTIFIED_PER_SECOND = 1  # of six clients that let the site notify people about once a second
LEAST_GROUPED_PER_SECOND = 0.3  # half of these go into groups
LEAST_ACTS_PER_SECOND = 1  # of the same, as often
ERRORS = re.compile(r"^.* (?:ERROR|CRITICAL) .*$|^[\w.]+(?:Error|Exception)\b.*$|exception was never retrieved", re.M)
# REST answers 503 while the database is away, and says so in the log. Of everything else nobody may be surprised.
OUR_FAULT = re.compile(
    r"CRITICAL|ERROR realtime\.(?!api\.errors)|ERROR asyncio|ERROR uvicorn\.error: Exception|never retrieved"
)


@dataclass
class Report:
    seed: int
    seconds: float
    violations: list[str]
    acked: int
    notified: int
    received: int
    longest_away: float
    settled_after: float
    counts: Counter[str]
    outages: Counter[str]
    logged: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        facts = [
            f"seed {self.seed}, {self.seconds:.0f} s: {self.acked} messages acked, {self.notified} notifications"
            f" committed, {self.received} events received",
            f"longest away {self.longest_away:.1f} s, still {self.settled_after:.1f} s after the end",
            list_counts(self.outages),
            list_counts(self.counts),
            *(f"logged {count} times: {line}" for line, count in self.logged.most_common(12)),
            f"{len(self.violations)} violations",
            *self.violations[:40],
        ]
        return "\n  ".join(facts)


def list_counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))


def run(seed: int, seconds: float, template: Path, writers: int = WRITERS) -> Report:
    """Blocks for `seconds` and what it takes to start and settle. Prints the logs where there are violations."""
    with open_world(template) as world:
        report = asyncio.run(rehearse(world, seed, seconds, writers))
        report.logged = count_errors("\n".join(server.log.read_text(errors="replace") for server in world.servers))
        report.violations += [f"logged: {line}" for line in report.logged if OUR_FAULT.search(line)]
        if report.violations:
            show_logs()
    return report


async def rehearse(world: World, seed: int, seconds: float, writers: int) -> Report:
    plan = make_plan(seed, seconds, writers + READERS)
    ports = [server.port for server in world.servers]
    history = History(world.people, ports, seed)
    people, readers = world.people, world.readers
    clients = [Client(number, people[number % len(people)], ports, history, seed) for number in range(writers)]
    clients += [Reader(number, readers, ports, history, seed) for number in range(writers, writers + READERS)]
    async with asyncio.TaskGroup() as lives:
        for client in clients:
            lives.create_task(client.live())
        await talk_while_it_breaks(world, clients, plan, seconds)
        settled_after, unsettled = await settle(world, clients)
        for client in clients:
            client.is_leaving = True
    for client in clients:
        if isinstance(client, Reader):
            await client.count()
    await history.close()
    violations = [
        *unsettled,
        *find_large(world.servers),
        *history.violations,
        *judge(read_record(world.postgres.url), clients),
    ]
    report = Report(seed, seconds, violations, 0, 0, 0, 0, settled_after, Counter(), world.done)
    summarize(clients, report)
    report.violations += find_missing_trouble(report, writers)
    return report


async def talk_while_it_breaks(world: World, clients: Sequence[Client], plan: Sequence[Step], seconds: float) -> None:
    writers = [asyncio.create_task(client.write()) for client in clients]
    for writer in writers:
        asyncio.get_running_loop().call_later(seconds - SILENT_SECONDS, writer.cancel)
    begin = now()
    async with asyncio.TaskGroup() as steps:
        for step in plan:
            await asyncio.sleep(max(0.0, begin + step.at - now()))
            steps.create_task(world.perform(step, clients))
    await asyncio.wait(writers)
    for writer in writers:
        if not writer.cancelled():
            writer.result()  # raises what it has raised


async def settle(world: World, clients: Sequence[Client]) -> tuple[float, list[str]]:
    """How long it takes until every client has everything; and what is missing when that takes too long."""
    begin = now()
    while True:
        missing = await asyncio.to_thread(find_missing, world.postgres.url, clients)
        missing += await asyncio.to_thread(find_unready, world.servers)
        if not missing or now() - begin > SETTLE_SECONDS:
            return now() - begin, [f"not settled: {line}" for line in missing]
        await asyncio.sleep(0.2)


def find_unready(servers: Sequence[SiteProcess]) -> list[str]:
    return [f"server {number} is not ready" for number, server in enumerate(servers) if health(server) != 200]


def find_large(servers: Sequence[SiteProcess]) -> list[str]:
    peaks = {number: server.peak_bytes for number, server in enumerate(servers)}
    return [f"server {number} had {peak} bytes" for number, peak in peaks.items() if peak > MOST_BYTES]


def find_missing(url: str, clients: Sequence[Client]) -> list[str]:
    with psycopg.connect(url) as connection:
        last_seqs: dict[str, int] = dict(connection.execute("SELECT name, last_seq FROM realtime_stream").fetchall())
        pending = connection.execute("SELECT stream FROM realtime_event WHERE seq IS NULL").fetchall()
    missing = [f"{stream} has an event without a number" for (stream,) in pending]
    for client in clients:
        behind = {s: client.account.position(s) for s in client.streams}
        behind = {stream: seq for stream, seq in behind.items() if seq != last_seqs.get(stream, 0)}
        if behind or client.outbox.waiting or not client.is_ready:
            state = "ready" if client.is_ready else "not ready"
            missing.append(f"client {client.number} is {state}, at {behind}, waits for {list(client.outbox.waiting)}")
    return missing


def find_missing_trouble(report: Report, writers: int = WRITERS) -> list[str]:
    """Why the run proves nothing: who says little while little breaks loses nothing."""
    found = []
    if report.acked < report.seconds * writers * LEAST_ACKED_PER_SECOND:
        found.append(f"only {report.acked} messages were acked")
    if report.notified < report.seconds * LEAST_NOTIFIED_PER_SECOND:
        found.append(f"only {report.notified} notifications were committed")
    if report.counts[GROUPED] < report.seconds * LEAST_GROUPED_PER_SECOND:
        found.append(f"only {report.counts[GROUPED]} notifications went into groups")
    if report.counts["acts"] < report.seconds * LEAST_ACTS_PER_SECOND:
        found.append(f"only {report.counts['acts']} notifications were read or archived")
    if report.seconds >= FULL_SECONDS:
        missing = [action for action in (*OUTAGES, *dict.fromkeys(ROAD_ACTIONS)) if not report.outages[action]]
        missing += [what for what in (TORN, WITHDRAWN) if not report.counts[what]]
        found += [f"never happened: {action}" for action in missing]
    return found


def summarize(clients: Sequence[Client], report: Report) -> None:
    for client in clients:
        account = client.account
        report.counts.update(client.counts)
        report.counts.update(repeats=account.repeats, early=account.early, fetched=account.fetched)
        report.acked += len(client.outbox.acked)
        report.notified += len(client.committed) + len(client.grouped) if isinstance(client, Reader) else 0
        report.received += sum(len(events) for events in account.events.values())
    report.longest_away = max(client.longest_away for client in clients)


def count_errors(text: str) -> Counter[str]:
    """Errors that the servers logged, without what differs from one to the next."""
    return Counter(re.sub(r"^\S+ \S+ (?=ERROR|CRITICAL)|\d{2,}", "", line)[:200] for line in ERRORS.findall(text))
