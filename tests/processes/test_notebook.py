"""Site code in a notebook, whose cells run on an event loop, with Redis and no sockets."""

import pytest

from tests.sites.ear import Ear
from tests.sites.processes import Redis
from tests.sites.small import SmallSite, settings_with

pytestmark = pytest.mark.process

SCRIPT = """
import asyncio, os
import django
django.setup()
from django.contrib.auth.models import User
from django.core.exceptions import SynchronousOnlyOperation
from django.db import transaction
import realtime
from notifications import anotify, notify
from realtime.delivery import bridge, outbox
from realtime.manager import manager

# Only what would wait for ever reaches them, and fails.
bridge.TIMEOUT_SECONDS = outbox.PATIENCE_SECONDS = 30

def say(n, durable=False):
    realtime.publish("site", {"type": "test", "n": n}, durable)

async def cells():
    say(1)
    assert manager.get_online_count() == 0
    assert not manager.is_user_online(1)
    try:
        say(0, durable=True)
    except SynchronousOnlyOperation as error:
        assert "await the asynchronous twin" in str(error)
    else:
        raise AssertionError("it has blocked the loop")
    await realtime.apublish("site", {"type": "test", "n": 2})
    assert await manager.aget_online_count() == 0

async def cells_of_one_who_allows_the_orm():
    say(3, durable=True)
    with transaction.atomic():
        say(4, durable=True)
        say(5)
    user = User.objects.create(username="user", is_active=False)
    user.save()
    realtime.create_room(user, title="General")
    notify(user, "new_comment", actor=User.objects.create(username="actor")).refresh_from_db()
    assert manager.get_online_count() == 0

asyncio.run(cells())
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
asyncio.run(cells_of_one_who_allows_the_orm())
say(6)
"""


@pytest.mark.usefixtures("small_database")
def test_synchronous_calls_work_or_say_what_to_await(tmp_path):
    with Redis() as redis, Ear(redis.url) as ear:
        site = SmallSite(tmp_path, {**settings_with(redis_url=redis.url), "script.py": SCRIPT})
        assert "LOGGED" not in site.run("script")
        assert ear.hear(6) == [1, 2, 3, 4, 5, 6]
