"""A process without sockets and without Redis says that what it does has no effect: once, and nobody else says so."""

import logging

import pytest
from django.contrib.auth import get_user_model

import realtime
from realtime.delivery import bridge
from realtime.delivery.hub import Hub
from realtime.manager import manager
from realtime.routing import asgi_application
from realtime.storage.database import run
from realtime.testing import published

pytestmark = pytest.mark.django_db(transaction=True)

FRAME = {"type": "test"}
LOST = {
    "disconnect_user": lambda: realtime.disconnect_user(7),
    "publish": lambda: realtime.publish("site", FRAME, durable=False),
    "send_to_user": lambda: realtime.send_to_user(7, FRAME, durable=False),
    "get_online_count": manager.get_online_count,
    "get_online_users": manager.get_online_users,
    "is_user_online": lambda: manager.is_user_online(7),
    "get_entries": lambda: manager.get_entries([7]),
    "get_user_connections_count": lambda: manager.get_user_connections_count(7),
}


@pytest.fixture(autouse=True)
def alone(monkeypatch, settings):
    """As in a new process of a site without Redis."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.REALTIME = {**settings.REALTIME, "REDIS_URL": ""}
    monkeypatch.setattr(bridge, "_has_warned", False)
    monkeypatch.setattr(bridge, "_has_application", False)
    monkeypatch.setattr(bridge, "_hubs", [])


@pytest.fixture
def warnings(caplog):
    def find():
        return [record.getMessage() for record in caplog.records if record.name == bridge.__name__]

    return find


@pytest.mark.parametrize("name", LOST)
def test_it_says_once_what_is_lost_and_what_to_do(name, warnings):
    for _ in range(2):
        LOST[name]()
    (warning,) = warnings()
    assert "this process serves no sockets" in warning
    assert "REALTIME['REDIS_URL']" in warning


async def test_the_asynchronous_twins_say_so_too(warnings):
    await realtime.adisconnect_user(7)
    await manager.aget_online_count()
    assert len(warnings()) == 1


def test_a_stored_event_arrives_with_the_next_heartbeat(warnings):
    realtime.publish("site", FRAME)
    assert warnings() == []


def test_what_the_recheck_finds_is_not_lost(alice, warnings):
    """Sockets of disabled users, and of those with a new password, are closed without a word from this process."""
    alice.set_password("another")
    alice.save()
    get_user_model().objects.get(pk=alice.pk).delete()
    assert warnings() == []


async def test_the_server_itself_says_nothing(warnings):
    hub = Hub()
    bridge.serve(hub)
    await run(realtime.disconnect_user, 7)
    await run(manager.get_online_count)
    await manager.aget_online_count()
    assert warnings() == []


def test_a_server_that_has_no_sockets_yet_says_nothing(warnings):
    """Under daphne, for example, the first socket is what starts the parts of the process."""
    asgi_application(http=None)
    realtime.disconnect_user(7)
    manager.get_online_count()
    assert warnings() == []


def test_a_test_of_a_site_says_nothing(warnings):
    with published():
        for name in ("disconnect_user", "publish", "send_to_user"):
            LOST[name]()
    assert warnings() == []


def test_a_site_with_redis_says_nothing(monkeypatch, settings, caplog):
    settings.REALTIME = {**settings.REALTIME, "REDIS_URL": "redis://127.0.0.1:1"}
    caplog.set_level(logging.WARNING)
    bridge.warn_if_alone("Nothing")
    assert caplog.records == []
