"""Site code in processes that were forked after their parent had published, as a Celery worker's are."""

import pytest

from tests.sites.ear import Ear
from tests.sites.processes import Redis
from tests.sites.small import SmallSite, settings_with

pytestmark = pytest.mark.process

BEGIN = """
import asyncio, ctypes, os, sys, traceback, warnings
import django
django.setup()
from django.db import connections
import realtime
from realtime.delivery import bridge, outbox
from realtime.manager import manager
from realtime.presence import circuit
from realtime.storage import database

# Only what would wait for ever reaches them, and fails.
bridge.TIMEOUT_SECONDS = bridge.EXIT_SECONDS = outbox.PATIENCE_SECONDS = circuit.PATIENCE_SECONDS = 30
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn about forks of processes with threads

def say(n):
    realtime.publish("site", {"type": "test", "n": n})
    realtime.publish("site", {"type": "test", "n": n + 1}, durable=False)
    assert manager.get_online_count() == 0

fork = os.fork

def in_child(work, leave=os._exit):
    connections.close_all()  # as Django wants it: a connection belongs to one process
    child = fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        return
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    connections.close_all()
    sys.stdout.flush()
    leave(code)
"""
SYNCHRONOUS = """
say(1)
in_child(lambda: say(3))
say(5)

def grandchild():
    in_child(lambda: say(7))
    say(9)

in_child(grandchild)
in_child(lambda: say(11), leave=sys.exit)  # the interpreter ends, and with it all that it has
say(13)
"""
# As uWSGI forks its workers: Python hears nothing of it. So a thread that waits for Python's lock at that moment would
# seem to wait for it in the child, too, and be woken there in place of one that exists: whatever the child does, hangs.
IN_C = """
import pathlib, re, threading, time

def look_at_threads():
    found = {}
    for task in pathlib.Path("/proc/self/task").iterdir():
        if int(task.name) != threading.get_native_id():
            status = (task / "status").read_text()
            found[task.name] = re.findall(r"^(?:State|voluntary_ctxt_switches):\\s*(\\w+)", status, re.MULTILINE)
    return found

def fork():
    before = None
    while (now := look_at_threads()) != before or any(state != "S" for state, _ in now.values()):
        before = now
        time.sleep(0.05)  # the lock is free: who has waited for it runs now
    return ctypes.PyDLL(None).fork()

say(1)
in_child(lambda: say(3))
say(5)
asyncio.run(realtime.apublish("site", {"type": "test", "n": 7}))
in_child(lambda: asyncio.run(realtime.apublish("site", {"type": "test", "n": 8})))
asyncio.run(realtime.apublish("site", {"type": "test", "n": 9}))
database.shutdown()
"""
ASYNCHRONOUS = """
async def talk(n):
    await realtime.apublish("site", {"type": "test", "n": n})
    await realtime.apublish("site", {"type": "test", "n": n + 1}, durable=False)
    assert await manager.aget_online_count() == 0

asyncio.run(talk(1))
in_child(lambda: asyncio.run(talk(3)))
asyncio.run(talk(5))
in_child(lambda: say(7))
asyncio.run(talk(9))
database.shutdown()
"""
SOCKETS = """
from realtime.sockets.node import get_node, stop_node

async def serve():
    get_node()
    await asyncio.to_thread(say, 1)
    await asyncio.to_thread(in_child, child)
    await asyncio.to_thread(say, 4)
    await stop_node()

def child():
    # Nothing that is stored: a thread of the parent may have been using SQLite, whose locks are not made for forks.
    realtime.publish("site", {"type": "test", "n": 3}, durable=False)
    assert manager.get_online_count() == 0

asyncio.run(serve())
database.shutdown()
"""


@pytest.mark.usefixtures("small_database")
@pytest.mark.parametrize(
    ("script", "last"),
    [(SYNCHRONOUS, 14), (IN_C, 9), (ASYNCHRONOUS, 10), (SOCKETS, 5)],
    ids=["shell", "uwsgi", "threads", "server"],
)
def test_everything_that_children_and_parents_publish_arrives(tmp_path, script, last):
    with Redis() as redis, Ear(redis.url) as ear:
        site = SmallSite(tmp_path, {**settings_with(redis_url=redis.url), "script.py": BEGIN + script})
        assert "away" not in site.run("script")
        assert ear.hear(last) == list(range(1, last + 1))


LEAVING = """
say(1)
from realtime.integration import find_present
assert find_present("room.a", [7]) == frozenset()
"""


@pytest.mark.usefixtures("small_database")
def test_a_process_that_ends_closes_its_connections(tmp_path):
    with Redis() as redis:
        site = SmallSite(tmp_path, {**settings_with(redis_url=redis.url), "script.py": BEGIN + LEAVING})
        assert "unclosed" not in site.run("script")
