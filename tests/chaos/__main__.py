"""`python -m tests.chaos --minutes 5 --seed 1 --seeds 3`: soak the site with plans of that length, one after the other.

Exits with 1 when anything was lost, repeated or out of order.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.chaos.plan import make_plan
from tests.chaos.run import run
from tests.sites.cluster import make_cluster


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description="Break a site, and prove it loses nothing."
    )
    parser.add_argument("--minutes", type=float, default=5, help="length of each plan")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of the first plan")
    parser.add_argument("--seeds", type=int, default=1, help="how many plans; each has the next seed")
    parser.add_argument("--show", action="store_true", help="print the plans only")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.seeds)
    if options.show:
        for seed in seeds:
            print(f"seed {seed}", *make_plan(seed, options.minutes * 60), sep="\n  ")
        return 0
    failed = soak(seeds, options.minutes * 60)
    print(f"seeds with violations: {failed}" if failed else "nothing was lost")
    return 1 if failed else 0


def soak(seeds: Iterable[int], seconds: float) -> list[int]:
    """The seeds with violations."""
    failed = []
    with tempfile.TemporaryDirectory() as directory:
        template = Path(directory) / "postgres"
        make_cluster(template)
        for seed in seeds:
            print(f"seed {seed} begins", flush=True)
            report = run(seed, seconds, template)
            print(report, flush=True)
            failed += [seed] if report.violations else []
    return failed


if __name__ == "__main__":
    sys.exit(main())
