"""`python -m bench.beside COMMIT`: measures our server beside an earlier commit, in turns. Prints a table.

Turns, so that changes in the machine's speed affect both. The machine must be quiet, as for `make bench`.
"""

import argparse
from collections.abc import Callable, Mapping
from statistics import median

from bench.cases import ROOM, WITHOUT_END, Bench, bytes_per_connection, measure, saved_per_second
from bench.contenders import Contender, Earlier, Ours
from bench.load import compile_generator
from bench.report import Claim, Finding, aligned_table
from bench.workspace import Workspace

FANOUT = {**ROOM, "senders": 16, "window": 4, "duration": 5}
DIRECT = {"n": 200, "senders": 200, "window": 4, "fanout": 2, "count": WITHOUT_END, "duration": 5}
CONNECT = {"n": 3000, "concur": 64, "count": 0}

Figure = Callable[[Bench, Contender], float]
CASES: dict[str, tuple[str, Figure]] = {
    "fanout": (
        "deliveries/s",
        lambda bench, one: measure(bench, "fanout", one, "room", FANOUT).median("deliveries_per_second"),
    ),
    "direct": (
        "saved messages/s",
        lambda bench, one: saved_per_second(measure(bench, "direct", one, "direct", DIRECT)),
    ),
    "connect": (
        "connections/s",
        lambda bench, one: measure(bench, "connect", one, "idle", CONNECT).median("connects_per_second"),
    ),
    "memory": ("bytes for each idle connection", bytes_per_connection),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.beside", description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("--turns", type=int, default=4, help="measurements of each; the median counts")
    parser.add_argument("--only", action="append", choices=CASES, help="this case; can be given again")
    options = parser.parse_args()
    compile_generator()
    workspace = Workspace()
    bench = Bench(workspace, repeat=1)
    pairs = {
        now: Earlier(workspace, options.commit, embedded=now.embedded) for now in bench.ours if isinstance(now, Ours)
    }
    try:
        for case in options.only or CASES:
            compare(bench, case, pairs, options.turns)
    finally:
        workspace.close()
    print(f"\n{aligned_table(bench.findings)}", *bench.failures, sep="\n")
    return 1 if bench.failures else 0


def compare(bench: Bench, case: str, pairs: Mapping[Ours, Earlier], turns: int) -> None:
    label, figure = CASES[case]
    for now, then in pairs.items():
        values: dict[Contender, list[float]] = {then: [], now: []}
        with bench.failures_kept(case):
            for turn in range(turns):
                for contender in sorted(values, key=lambda one: (one is now) == bool(turn % 2)):
                    values[contender].append(figure(bench, contender))
            before, after = (median(measured) for measured in values.values())
            bench.findings.append(Finding(Claim(case, label), now.name, after, then.name, before))


if __name__ == "__main__":
    raise SystemExit(main())
