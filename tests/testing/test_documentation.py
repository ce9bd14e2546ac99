"""The examples of docs/testing.md, run as the tests of a small site: with pytest, and with `manage.py test`."""

import re

import pytest

from bench.servers import ROOT
from tests.sites.processes import Postgres
from tests.sites.small import SmallSite

PAGE = (ROOT / "docs" / "testing.md").read_text()
EXAMPLES = dict(re.findall(r"<!-- (\S+) -->\n```\w+\n(.*?)```", PAGE, re.S))


@pytest.fixture
def site(tmp_path):
    return SmallSite(tmp_path, EXAMPLES)


@pytest.mark.process
def test_the_examples_run_with_pytest_on_sqlite(site):
    assert "17 passed" in site.run("pytest", "-q", "-p", "no:cacheprovider")


@pytest.mark.process
def test_the_examples_run_with_django_on_postgresql(site, cluster_template):
    """Which can drop the test's database only if no connection is left."""
    with Postgres(cluster_template) as postgres:
        output = site.run("django", "test", "tests", database_url=postgres.url)
    assert "Ran 2 tests" in output
    assert "LOGGED" not in output
