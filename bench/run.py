"""`python -m bench.run`: compares our server with others. Prints a table; a full run writes `docs/benchmarks.md`.

The exit code is 1 if a server failed or deliveries were lost, never because of timings. Run by `make bench`.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from bench.announcing import announcement
from bench.cases import Bench, connect, direct, fanout, latency, memory, two
from bench.document import write_document
from bench.inboxes import digest, inbox, lists, notify
from bench.load import compile_generator
from bench.recovery import cost, restart, resume
from bench.report import aligned_table
from bench.servers import ROOT
from bench.workspace import Workspace

DOCUMENT = ROOT / "docs" / "benchmarks.md"
CASES: dict[str, Callable[[Bench], None]] = {
    case.__name__: case
    for case in (
        *(fanout, latency, direct, memory, connect, two, cost, resume, restart),
        *(notify, inbox, digest, lists, announcement),
    )
}


def main() -> int:
    options = read_options()
    compile_generator()
    workspace = Workspace()
    try:
        bench = Bench(workspace, options.repeat, options.quick, options.peers_only)
        for name in options.only or CASES:
            print(f"{name} …", flush=True)
            CASES[name](bench)
    finally:
        workspace.close()
    print_result(bench)
    if output := output_file(options):
        write_document(bench, output)
        print(f"\nwritten to {output}")
    return 1 if bench.failures else 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--repeat", type=int, help="runs of each load, whose median counts (3; with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="short loads, for a first look")
    parser.add_argument("--only", action="append", choices=CASES, help="this case; can be given again")
    parser.add_argument("--peers-only", action="store_true", help="leave our own server out")
    parser.add_argument("--output", type=Path, help="write the page there, also after a partial run")
    options = parser.parse_args()
    options.repeat = options.repeat or (1 if options.quick else 3)
    return options


def print_result(bench: Bench) -> None:
    print(f"\n{aligned_table(bench.findings)}")
    for measurement in bench.measurements:
        if measurement.is_generator_bound:
            print(
                f"{measurement.case}, {measurement.contender}: the generator's core was full; the server could do more"
            )
    for failure in bench.failures:
        print(f"\nFAILED {failure}", file=sys.stderr)


def output_file(options: argparse.Namespace) -> Path | None:
    """Where to write the page. Only a full run writes the project's own page."""
    partial = options.quick or options.only or options.peers_only
    return options.output or (None if partial else DOCUMENT)


if __name__ == "__main__":
    sys.exit(main())
