"""Site code in a worker whose threads are greenlets: gunicorn's and Celery's workers of the kind gevent."""

from importlib.util import find_spec

import pytest

from tests.sites.ear import Ear
from tests.sites.processes import Postgres, Redis
from tests.sites.small import NOWHERE, SmallSite, settings_with

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed"),
]

BEGIN = """
from gevent import monkey
monkey.patch_all()
import gevent
import django
django.setup()
from django.contrib.auth.models import User
from django.db import connection, transaction
import realtime
from notifications import notify
from realtime.delivery import bridge, outbox
from realtime.manager import manager

# Only what would wait for ever reaches them, and fails.
bridge.TIMEOUT_SECONDS = outbox.PATIENCE_SECONDS = 30
"""
WORKER = """
def handle_request(n):
    with transaction.atomic():
        user = User.objects.create(username=str(n))
        realtime.publish("site", {"type": "test", "n": n})
        assert User.objects.filter(pk=user.pk).exists()
    realtime.publish("site", {"type": "test", "n": n + 1}, durable=False)
    assert manager.get_online_count() == 0
    User.objects.get(pk=user.pk)
    connection.close()

def ask():
    while True:
        User.objects.count()
        gevent.sleep(0)

handle_request(1)
handle_request(3)
# While some wait for Redis, others use the database.
asking = gevent.spawn(ask)
requests = [gevent.spawn(handle_request, n) for n in range(5, 25, 2)]
gevent.joinall(requests, raise_error=True)
assert not asking.dead, asking.exception
asking.kill()
handle_request(25)
"""
FORKS = """
import gevent.os, os

def say(n):
    realtime.publish("site", {"type": "test", "n": n}, durable=False)
    assert manager.get_online_count() == 0

def in_child():
    gevent.get_hub().loop.install_sigchld()  # after the fork it would not hear of a quick child
    child = gevent.os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        return
    code = 1
    try:
        say(2)
        say(3)
        code = 0
    finally:
        os._exit(code)

say(1)
in_child()
say(4)
say(5)
"""
OUTAGE = """
outbox.PATIENCE_SECONDS = 0.5
user = User.objects.create(username="disabled", is_active=False)
for n in range(5):
    realtime.publish("site", {"type": "test", "n": n})
    user.save()
    User.objects.count()
"""


@pytest.mark.usefixtures("small_database")
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_worker_publishes_and_goes_on_with_the_database(tmp_path, database, cluster_template):
    with Redis() as redis, Ear(redis.url) as ear:
        url = redis.url.replace("127.0.0.1", "localhost")  # a name is looked up on another thread
        site = SmallSite(tmp_path, {**settings_with(redis_url=url), "script.py": BEGIN + WORKER})
        if database == "sqlite":
            assert "LOGGED" not in site.run("script")
        else:
            with Postgres(cluster_template) as postgres:
                assert "LOGGED" not in site.run("script", database_url=postgres.url)
        assert ear.hear(26) == list(range(1, 27))


@pytest.mark.usefixtures("small_database")
def test_a_worker_that_forks_leaves_its_connections_to_its_parent(tmp_path):
    """The greenlets of the parent go on in the child."""
    with Redis() as redis, Ear(redis.url) as ear:
        site = SmallSite(tmp_path, {**settings_with(redis_url=redis.url), "script.py": BEGIN + FORKS})
        assert "LOGGED" not in site.run("script")
        assert ear.hear(5) == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("small_database")
def test_a_worker_goes_on_without_redis(tmp_path):
    site = SmallSite(tmp_path, {**settings_with(redis_url=NOWHERE), "script.py": BEGIN + OUTAGE})
    output = site.run("script")
    assert output.count("LOGGED") == output.count("The channel layer is away") == 1
