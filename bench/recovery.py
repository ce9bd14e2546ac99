"""The recovery cases: what recovery costs while no connection fails, and what is lost when connections fail.

Called by `bench.run`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles

from bench.cases import ROOM, Bench, measure
from bench.contenders import Contender, Earlier, Ours
from bench.load import Outcome, read_outcome, returning_crowd
from bench.report import AT_LEAST, LIMIT, Claim, Finding, Requirement
from bench.seed import CROWD

# The last commit without resume, sessions and confirmed positions.
BEFORE_RESUME = "d94cab2"
# From the cut until the last client has received everything.
LIMIT_MS = 10_000
MOST_SECONDS = 200


@dataclass(frozen=True)
class Figure:
    """One line of the table for the outcomes of a case: the median of the runs, or the worst of them."""

    name: str
    of: Callable[[Outcome], float]
    limit: float | None = None
    worst: bool = False

    def finding(self, case: str, contender: Contender, outcomes: list[Outcome]) -> Finding:
        values = [self.of(outcome) for outcome in outcomes]
        requirement = None if self.limit is None else Requirement(LIMIT, self.limit)
        return Finding(
            Claim(case, self.name, requirement), contender.name, max(values) if self.worst else median(values)
        )


def percentile_ms(outcome: Outcome, percent: int) -> float:
    return 1000 * quantiles(outcome.seconds, n=100)[percent - 1]


MISSING = [
    Figure("clients not back", lambda outcome: outcome.clients - outcome.back, 0, worst=True),
    Figure("acked messages lost", lambda outcome: outcome.lost, 0, worst=True),
    Figure("events received twice", lambda outcome: outcome.twice, 0, worst=True),
]
RESUME = [Figure("ms until all are back and complete", lambda outcome: 1000 * outcome.seconds[-1], LIMIT_MS), *MISSING]
RESTART = [
    *MISSING,
    *(Figure(f"ms to be back, p{n}", lambda outcome, n=n: percentile_ms(outcome, n)) for n in (50, 95)),
]


def cost(bench: Bench) -> None:
    """Compare our server with its version before resume.

    Both take turns, so that changes in the machine's speed affect both. The turns are many, because these changes are
    as large as the difference.
    """
    load = {**ROOM, "senders": 16, "window": 4, "duration": bench.seconds(5)}
    for now in bench.ours:
        assert isinstance(now, Ours)
        then = Earlier(bench.workspace, BEFORE_RESUME, embedded=now.embedded)
        with bench.failures_kept("cost"):
            rates: dict[Contender, list[float]] = {then: [], now: []}
            for _ in range(2 * bench.repeat):
                for contender, measured in rates.items():
                    measured.append(measure(bench, "cost", contender, "room", load).median("deliveries_per_second"))
            claim = Claim("cost", "deliveries/s with resume and without", Requirement(AT_LEAST, 0.9))
            before, after = (median(measured) for measured in rates.values())
            bench.findings.append(Finding(claim, now.name, after, then.name, before))


def resume(bench: Bench) -> None:
    come_back(bench, "resume", "cut", RESUME)


def restart(bench: Bench) -> None:
    come_back(bench, "restart", "restart", RESTART)


def come_back(bench: Bench, case: str, how: str, figures: list[Figure]) -> None:
    if bench.peers_only:
        return
    contender = bench.distributed
    assert isinstance(contender, Ours)
    with bench.failures_kept(case):
        outcomes = [lose_crowd(bench, contender, how) for _ in range(bench.repeat)]
        bench.findings += [figure.finding(case, contender, outcomes) for figure in figures]


def lose_crowd(bench: Bench, contender: Ours, how: str) -> Outcome:
    """One run on a newly started server. Raises LoadFailed, ServerFailed."""
    with contender.running() as [server]:
        count = 400 if bench.quick else CROWD
        with returning_crowd(how, server.port, contender.paths, count) as crowd:
            if how == "restart" and crowd.stdout is not None and crowd.stdin is not None:
                crowd.stdout.readline()
                server.restart()
                crowd.stdin.write("\n")
                crowd.stdin.flush()
            outcome = read_outcome(crowd)
    print(f"  {how}: {describe(outcome)}", flush=True)
    return outcome


def describe(outcome: Outcome) -> str:
    back = f"{outcome.back} of {outcome.clients} back"
    times = f"p50 {percentile_ms(outcome, 50):,.0f}, p95 {percentile_ms(outcome, 95):,.0f} ms"
    events = f"{outcome.received:,} of {outcome.expected:,} events, {outcome.lost} lost, {outcome.twice} twice"
    return f"{back}, {times}, the last after {1000 * outcome.seconds[-1]:,.0f}; {outcome.written} written, {events}"
