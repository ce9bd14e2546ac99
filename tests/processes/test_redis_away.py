"""Site code in a process without sockets while Redis hangs or refuses: it waits once, and says so once."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.sites.ear import Ear
from tests.sites.processes import Redis
from tests.sites.small import NOWHERE, SmallSite, settings_with

pytestmark = pytest.mark.process

SCRIPT = """
import time
import django
django.setup()
from django.contrib.auth.models import User
import realtime
from notifications import notify
from realtime.models import Event

began = time.monotonic()
user, follower = (User.objects.create(username=name, is_active=False) for name in ("disabled", "follower"))
for n in range(10):
    realtime.publish("site", {"type": "test", "n": n})
    realtime.publish("site", {"type": "test", "n": n}, durable=False)
    user.save()
    notify(user, "new_follower", actor=follower)
    realtime.disconnect_user(user)
    # Each of these calls took ten seconds while Redis hung.
    assert time.monotonic() - began < 60, n
assert Event.objects.filter(seq__isnull=False).count() == 20
"""
INTERRUPTED = """
import os, signal, threading, time
import django
django.setup()
import realtime
from realtime.delivery import bridge, outbox

def say(n):
    realtime.publish("site", {{"type": "test", "n": n}}, durable=False)

outbox.PATIENCE_SECONDS = 30
say(1)
outbox.PATIENCE_SECONDS = 0.2
os.kill({pid}, signal.SIGSTOP)
try:
    threads = [threading.Thread(target=say, args=[n]) for n in (2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(5)
finally:
    os.kill({pid}, signal.SIGCONT)
outbox.PATIENCE_SECONDS = 30
ends = time.monotonic() + 30
while bridge._bridge.outbox._retrying is not None:
    assert time.monotonic() < ends
    time.sleep(0.02)
say(6)
"""


@contextmanager
def hanging() -> Iterator[str]:
    """The address of a Redis that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def refusing() -> Iterator[str]:
    yield NOWHERE


@pytest.mark.usefixtures("small_database")
@pytest.mark.parametrize("outage", [hanging, refusing])
def test_publishing_costs_one_wait_and_one_line(tmp_path, outage):
    with outage() as url:
        site = SmallSite(tmp_path, {**settings_with(redis_url=url), "script.py": SCRIPT})
        output = site.run("script")
    assert output.count("LOGGED") == output.count("The channel layer is away") == 1
    assert "Traceback" not in output


def test_what_could_not_be_sent_arrives_when_redis_is_back(tmp_path):
    with Redis() as redis, Ear(redis.url) as ear:
        script = INTERRUPTED.format(pid=redis.pid)
        output = SmallSite(tmp_path, {**settings_with(redis_url=redis.url), "script.py": script}).run("script")
        # One that was under way is sent again, because nobody knows whether it arrived.
        assert set(ear.hear(6)) == {1, 2, 3, 4, 5, 6}
    assert output.count("LOGGED") == output.count("The channel layer is away") == 1
