"""A minute in which everything breaks, and nothing is lost. `CHAOS_SEED` repeats the plan of a run that failed."""

import os
import random

import pytest

from tests.chaos.run import run

SECONDS = 60
WRITERS = 22  # half of what `make soak` has, a third of the work


@pytest.mark.process
def test_it_loses_nothing_whatever_breaks(cluster_template):
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(1_000_000))
    print(f"CHAOS_SEED={seed}")
    report = run(seed, SECONDS, cluster_template, WRITERS)
    print(report)
    assert not report.violations
