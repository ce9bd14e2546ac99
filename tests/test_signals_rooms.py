"""Rooms that are changed while sockets have joined them: all of them get the new title, however it was stored."""

import contextlib

import pytest
from django.db import transaction
from django.db.models import Value

from realtime.models import Room
from realtime.storage.database import run
from tests.people import client_for

pytestmark = pytest.mark.django_db(transaction=True)


async def is_undisturbed(socket):
    return not [frame for frame in await socket.settle() if frame["type"] not in ("user_status", "online_count")]


def rename_by_rest(owner, title):
    answer = client_for(owner).patch("/api/v1/rooms/general", {"title": title})
    assert answer.status_code == 200, answer.content


def rename_in_site_code(_owner, title):
    room = Room.objects.get(slug="general")
    room.title = title
    room.save(update_fields=["title"])


def rename_by_expression(_owner, title):
    room = Room.objects.get(slug="general")
    room.title = Value(title)
    room.save()


RENAMINGS = [rename_by_rest, rename_in_site_code, rename_by_expression]


@pytest.mark.parametrize("rename", RENAMINGS)
async def test_it_tells_those_in_a_room_its_new_title(site, alice, bob, carol, shared, rename):
    sockets, outsider = [await site.join(alice), await site.join(bob)], await site.connect(carol)
    await run(rename, alice, "Tea room")
    for socket in sockets:
        assert await socket.find("room_updated") == {
            "type": "room_updated",
            "room_id": "general",
            "title": "Tea room",
            "private": False,
        }
    assert await is_undisturbed(outsider)


def leave_as_it_is(room):
    room.save()


def write_other_fields(room):
    room.title = "Not stored"
    room.save(update_fields=["created_by"])


def roll_back(room):
    with contextlib.suppress(RuntimeError), transaction.atomic():
        room.title = "Rolled back"
        room.save()
        raise RuntimeError


def load_from_a_fixture(room):
    room.title = "Loaded"
    room.save_base(raw=True)


@pytest.mark.parametrize("save", [leave_as_it_is, write_other_fields, roll_back, load_from_a_fixture])
async def test_it_tells_nobody_of_a_room_that_is_as_it_was(site, alice, shared, save):
    socket = await site.join(alice)
    await run(save, shared)
    assert await is_undisturbed(socket)


async def test_a_socket_for_one_room_does_not_get_its_title(site, alice, shared):
    socket = await site.connect(alice, path="/ws/chat/rooms/general")
    await run(rename_in_site_code, alice, "Tea room")
    assert await is_undisturbed(socket)
