"""The load cases: which servers are measured, under which load, and what is required. Called by `bench.run`."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median

from bench.contenders import Contender, FastAPIManager, Options, Ours, StockChannels
from bench.load import LoadFailed, held_connections, run_load
from bench.report import AT_LEAST, AT_MOST, LIMIT, Claim, Finding, Measurement, Requirement
from bench.servers import Server, ServerFailed
from bench.specialised import Nchan, SocketIO, Ws
from bench.workspace import Workspace

# Messages of one sender. So many that the duration ends the load.
WITHOUT_END = 1_000_000_000
ROOM = {"n": 500, "fanout": 500, "count": WITHOUT_END}
WARM_UP_CONNECTIONS = 50
# Before each load, so that the server can close the connections of the previous one.
PAUSE_SECONDS = 2
IDLE_LIMIT_BYTES = 16_384
# How many times the deliveries of each peer we hold ourselves to.
TIMES = {FastAPIManager.name: 10, StockChannels.name: 50, Ws.name: 5, SocketIO.name: 5, Nchan.name: 2}


@dataclass
class Bench:
    """One run of the benchmark: its options, its contenders, and its results so far."""

    workspace: Workspace
    repeat: int = 3
    quick: bool = False
    peers_only: bool = False
    measurements: list[Measurement] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @cached_property
    def fastapi(self) -> Contender:
        return FastAPIManager(self.workspace)

    @cached_property
    def stock(self) -> Contender:
        return StockChannels(self.workspace)

    @cached_property
    def specialised(self) -> list[Contender]:
        """Those servers for sockets alone that can run here."""
        contenders: list[Contender] = [Ws(self.workspace), SocketIO(self.workspace), Nchan(self.workspace)]
        for contender in contenders:
            if contender.missing:
                print(f"  left out: {contender.name} ({contender.missing})", flush=True)
        return [contender for contender in contenders if not contender.missing]

    @cached_property
    def embedded(self) -> Contender:
        return Ours(self.workspace, embedded=True)

    @cached_property
    def distributed(self) -> Contender:
        return Ours(self.workspace, embedded=False)

    @property
    def idle_connections(self) -> int:
        return 1000 if self.quick else 5000

    @property
    def ours(self) -> list[Contender]:
        return [] if self.peers_only else [self.embedded, self.distributed]

    def seconds(self, full: float) -> float:
        return min(2.0, full) if self.quick else full

    def compare(self, claim: Claim, values: dict[Contender, float], peer: Contender) -> None:
        """Compare each of our servers with the peer. List the peer alone if none of ours was measured."""
        reference = values.get(peer)
        ours = [contender for contender in self.ours if contender in values]
        self.findings += [Finding(claim, contender.name, values[contender], peer.name, reference) for contender in ours]
        if not ours:
            self.findings.append(Finding(claim, None, None, peer.name, reference))

    def add(self, measurement: Measurement) -> None:
        self.measurements.append(measurement)
        print(f"  {measurement.case}: {measurement.contender}: {measurement.summary()}", flush=True)

    @contextmanager
    def failures_kept(self, case: str) -> Iterator[None]:
        """A server that fails ends this block. The failure is recorded, and the run continues after the block."""
        try:
            yield
        except (ServerFailed, LoadFailed) as error:
            self.failures.append(f"{case}: {error}")


def fanout(bench: Bench) -> None:
    load = {**ROOM, "senders": 16, "window": 4, "duration": bench.seconds(5)}
    peers = [bench.fastapi, bench.stock, *bench.specialised]
    measured = measure_each(bench, "fanout", [*peers, *bench.ours], "room", load)
    rates = medians(measured, "deliveries_per_second")
    for peer in peers:
        bench.compare(Claim("fanout", "deliveries/s", Requirement(AT_LEAST, TIMES[peer.name])), rates, peer)


def latency(bench: Bench) -> None:
    loops: dict[str, Options] = {"20 messages/s": {"rate": 20}, "one at a time": {"window": 1}}
    for label, loop in loops.items():
        load = {**ROOM, "senders": 1, "duration": bench.seconds(10), **loop}
        beside = bench.specialised if "rate" in loop else []
        measured = measure_each(bench, f"latency, {label}", [bench.fastapi, *beside, *bench.ours], "room", load)
        for figure in ("p50", "p99"):
            values = medians(measured, f"delivery_us.{figure}")
            bench.compare(Claim("latency", f"{figure} µs, {label}", Requirement(AT_MOST, 1)), values, bench.fastapi)
            # These store nothing; ours stores each message before it sends it.
            for peer in beside if figure == "p50" else []:
                bench.compare(Claim("latency", f"{figure} µs, {label}"), values, peer)


def direct(bench: Bench) -> None:
    load = {"n": 200, "senders": 200, "window": 4, "fanout": 2, "count": WITHOUT_END, "duration": bench.seconds(5)}
    contenders = [bench.stock] if bench.peers_only else [bench.stock, bench.distributed]
    measured = measure_each(bench, "direct", contenders, "direct", load)
    rates = {contender: saved_per_second(measurement) for contender, measurement in measured.items()}
    bench.compare(Claim("direct", "saved messages/s", Requirement(AT_LEAST, 6, aim=10)), rates, bench.stock)


def memory(bench: Bench) -> None:
    each: dict[Contender, float] = {}
    for contender in [bench.stock, *bench.ours]:
        with bench.failures_kept("memory"):
            each[contender] = median(bytes_per_connection(bench, contender) for _ in range(bench.repeat))
    claim = Claim("memory", "bytes for each idle connection", Requirement(LIMIT, IDLE_LIMIT_BYTES))
    bench.compare(claim, each, bench.stock)


def connect(bench: Bench) -> None:
    load = {"n": 1000 if bench.quick else 3000, "concur": 64, "count": 0}
    measured = measure_each(bench, "connect", [bench.stock, *bench.ours], "idle", load)
    claim = Claim("connect", "connections/s", Requirement(AT_LEAST, 1))
    bench.compare(claim, medians(measured, "connects_per_second"), bench.stock)


def two(bench: Bench) -> None:
    if bench.peers_only:
        return
    # The window is large enough to keep both processes busy.
    load = {**ROOM, "senders": 16, "window": 16, "duration": bench.seconds(5)}
    with bench.failures_kept("two"):
        one = measure(bench, "two: one process", bench.distributed, "room", load)
        both = measure(bench, "two: two processes", bench.distributed, "room", load, processes=2)
        lost = sum(abs(result.expected - result.deliveries) for result in both.results)
        rates = [measurement.median("deliveries_per_second") for measurement in (both, one)]
        name = f"{bench.distributed.name}, two processes"
        bench.findings += [
            Finding(Claim("two", "deliveries lost or doubled", Requirement(LIMIT, 0)), name, lost),
            Finding(Claim("two", "deliveries/s", Requirement(AT_LEAST, 1)), name, rates[0], "one process", rates[1]),
        ]


def measure_each(
    bench: Bench, case: str, contenders: list[Contender], kind: str, load: Options
) -> dict[Contender, Measurement]:
    """Measure one contender after another. One that fails is not in the result."""
    measured = {}
    for contender in contenders:
        with bench.failures_kept(case):
            measured[contender] = measure(bench, case, contender, kind, load)
    return measured


def measure(bench: Bench, case: str, contender: Contender, kind: str, load: Options, processes: int = 1) -> Measurement:
    """Start a server and run the load `repeat` times, after a short warm-up that does not count."""
    results = []
    with contender.running(processes) as servers:
        options = contender.connection_options(kind) | load
        warm_up(ports_of(servers), options)
        for _ in range(bench.repeat):
            time.sleep(PAUSE_SECONDS)
            results.append(run_load(ports_of(servers), options))
            require_alive(servers)
        if complaints := [text for result in results for text in result.complaints()]:
            logs = [server.tail() for server in servers]
            bench.failures.append("\n".join([f"{case}, {contender.name}: {'; '.join(complaints)}", *logs]))
    measurement = Measurement(case, contender.name, results)
    bench.add(measurement)
    return measurement


def warm_up(ports: list[int], options: Options) -> None:
    """Run once with few connections, so that late imports are done, pools are full and buffers have grown."""
    few = {"n": WARM_UP_CONNECTIONS, "duration": 0.5}
    if options.get("fanout", 0) > WARM_UP_CONNECTIONS:
        few["fanout"] = WARM_UP_CONNECTIONS
    run_load(ports, options | few)


def bytes_per_connection(bench: Bench, contender: Contender) -> float:
    """Growth of the server's resident memory with idle connections, divided by their number."""
    count = bench.idle_connections
    with contender.running() as servers:
        ports = ports_of(servers)
        options = contender.connection_options("idle")
        run_load(ports, options | {"n": WARM_UP_CONNECTIONS, "count": 0})
        time.sleep(1)
        empty = resident_bytes(servers)
        with held_connections(ports, options | {"n": count}) as ready:
            # Longer than a heartbeat, because its frames use memory too.
            time.sleep(2 if bench.quick else 35)
            full = resident_bytes(servers)
            require_alive(servers)
    if ready != count:
        bench.failures.append(f"memory, {contender.name}: {count - ready} of {count} connections not ready")
    each = (full - empty) / count
    print(f"  memory: {contender.name}: {each:,.0f} bytes each, {empty:,} when empty", flush=True)
    return each


def medians(measured: dict[Contender, Measurement], figure: str) -> dict[Contender, float]:
    return {contender: measurement.median(figure) for contender, measurement in measured.items()}


def saved_per_second(measurement: Measurement) -> float:
    """Acked messages; for a server without acks, messages that came back to their sender, which is after the save."""
    if measurement.median("acks"):
        return measurement.median("acks_per_second")
    # The other half of the deliveries went to the partners.
    return measurement.median("deliveries_per_second") / 2


def ports_of(servers: Iterable[Server]) -> list[int]:
    return [server.port for server in servers]


def resident_bytes(servers: Iterable[Server]) -> int:
    return sum(server.resident_bytes() for server in servers)


def require_alive(servers: Iterable[Server]) -> None:
    for server in servers:
        server.require_alive()
