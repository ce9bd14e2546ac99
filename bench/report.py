"""The results, and their tables for the terminal and `docs/benchmarks.md`. Used by the cases and `bench.run`."""

from dataclasses import dataclass
from operator import attrgetter
from statistics import median

from bench.load import Result

AT_LEAST, AT_MOST, LIMIT = "at least", "at most", "limit"
# If the generator used more than this share of its core, it may have been the limit, not the server.
BUSY_SHARE = 0.9

HEAD = ("case", "figure", "ours", "measured", "peer", "measured", "ratio", "required", "")


@dataclass(frozen=True)
class Measurement:
    """The repeated results of one contender in one case."""

    case: str
    contender: str
    results: list[Result]

    def median(self, figure: str) -> float:
        """The median of an attribute of Result, such as `delivery_us.p50`, over the repeats."""
        return float(median(attrgetter(figure)(result) for result in self.results))

    @property
    def is_generator_bound(self) -> bool:
        return self.median("busy") > BUSY_SHARE

    def summary(self) -> str:
        if not self.median("sent"):
            return f"{self.median('connects_per_second'):,.0f} connections/s"
        parts = [f"{self.median('deliveries_per_second'):,.0f} deliveries/s"]
        if self.median("acks"):
            parts.append(f"{self.median('acks_per_second'):,.0f} acks/s")
        parts += [f"{name} {self.median(f'delivery_us.{name}'):,.0f} µs" for name in ("p50", "p99")]
        return ", ".join(parts)


@dataclass(frozen=True)
class Requirement:
    """At least or at most `number` times the peer's result, or a limit for the result itself."""

    kind: str
    number: float
    aim: float | None = None

    def __str__(self) -> str:
        if self.kind == LIMIT:
            return f"≤ {self.number:,}"
        aim = f" (aim {self.aim:g} ×)" if self.aim else ""
        return f"{'≥' if self.kind == AT_LEAST else '≤'} {self.number:g} ×{aim}"

    def is_met(self, measured: float, ratio: float | None) -> bool:
        if self.kind == LIMIT:
            return measured <= self.number
        if ratio is None:
            return False
        return ratio >= self.number if self.kind == AT_LEAST else ratio <= self.number


@dataclass(frozen=True)
class Claim:
    """What a line of the table is about."""

    case: str
    figure: str
    requirement: Requirement | None = None


@dataclass(frozen=True)
class Finding:
    """One line of the table. `ours` is None if only the peers were measured, `peer` is None if there is no peer."""

    claim: Claim
    ours: str | None
    measured: float | None
    peer: str | None = None
    reference: float | None = None

    @property
    def ratio(self) -> float | None:
        if self.measured is None or not self.reference:
            return None
        return self.measured / self.reference

    @property
    def verdict(self) -> str:
        requirement = self.claim.requirement
        if self.measured is None or requirement is None:
            return ""
        return "pass" if requirement.is_met(self.measured, self.ratio) else "FAIL"

    def cells(self) -> tuple[str, ...]:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} ×"
        ours, peer = self.ours or "", self.peer or ""
        claim = (self.claim.case, self.claim.figure)
        values = (ours, number(self.measured), peer, number(self.reference), ratio)
        return (*claim, *values, str(self.claim.requirement or ""), self.verdict)


def number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def aligned_table(findings: list[Finding]) -> str:
    rows = [HEAD, *(finding.cells() for finding in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def markdown_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def load_rows(measurements: list[Measurement]) -> list[tuple[str, ...]]:
    """The medians of every load: case, contender, deliveries/s, acks/s, p50, p99, p99.9, share of the core used."""
    figures = ("deliveries_per_second", "acks_per_second", "delivery_us.p50", "delivery_us.p99", "delivery_us.p999")
    return [
        (m.case, m.contender, *(number(m.median(figure)) for figure in figures), f"{m.median('busy'):.0%}")
        for m in measurements
        if m.median("sent")
    ]
