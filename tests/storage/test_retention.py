"""How long events are kept, and what clients that come back get."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from realtime.auth import tickets
from realtime.chat import rooms
from realtime.models import Event, Message, Ticket
from realtime.storage import database, log, numbering, pending, pruning, retention
from realtime.storage.database import run
from realtime.storage.leases.memory import MemoryLeases
from realtime.storage.leases.store import LeasesUnavailable
from realtime.storage.retention import Pruner
from tests.backends.presence import Clock
from tests.paper import body

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0)
    yield
    database.shutdown()


def write(stream, *ages):
    """Events that are so many days old, in the order of their `seq`s."""
    for age in ages:
        (event,) = log.commit([(stream, body(1))])
        set_age(Event.objects.filter(stream=stream, seq=event.seq), age)


def set_age(events, days):
    assert events.update(created_at=NOW - timedelta(days=days)) == 1


def kept(stream="room.a"):
    return list(Event.objects.filter(stream=stream).order_by("seq").values_list("seq", flat=True))


def make_tickets(user, *seconds):
    """Tickets that expire so many seconds from now."""
    for number in seconds:
        expires_at = timezone.now() + timedelta(seconds=number)
        Ticket.objects.create(digest=f"digest {number}", user=user, expires_at=expires_at)


def test_it_deletes_what_is_old_and_nothing_younger():
    write("room.a", 40, 31, 30.1, 29.9, 1, 0)
    write("room.b", 31)
    write("room.c", 29)
    assert retention.prune(30) == 4
    assert (kept("room.a"), kept("room.b"), kept("room.c")) == ([4, 5, 6], [], [1])
    found = numbering.positions(["room.a", "room.b", "room.c"])
    assert found == {"room.a": 6, "room.b": 1, "room.c": 1}
    assert retention.prune(30) == 0


def test_it_never_gives_a_seq_again():
    write("room.a", 40, 40)
    retention.prune(30)
    write("room.a", 0)
    assert kept() == [3]


def test_it_goes_in_portions():
    write("room.a", *[40] * 25, *[1] * 25)
    sizes, key = [], 0
    while key is not None:
        with CaptureQueriesContext(connection) as queries:
            deleted, key = pruning.prune(NOW - timedelta(days=30), key, limit=10)
        assert sum("DELETE" in query["sql"] for query in queries) <= 1
        sizes.append(deleted)
    assert sizes == [10, 10, 5]  # the third has found a young one: what follows is not looked at
    assert kept() == list(range(26, 51))


def test_it_rests_between_portions(monkeypatch):
    write("room.a", *[40] * 25)
    monkeypatch.setattr(pruning.prune, "__defaults__", (10,))
    rests = []
    monkeypatch.setattr(retention.time, "sleep", rests.append)
    assert retention.prune(30) == 25
    assert rests == [0, 0]


def test_it_leaves_what_has_no_place_yet():
    write("room.a", 40)
    with transaction.atomic():
        key = pending.write("room.a", body(2))
    set_age(Event.objects.filter(pk=key), 40)
    assert retention.prune(30) == 1
    assert kept() == [None]
    assert [event.seq for event in pending.sequence([key])] == [2]


def test_it_makes_no_hole_where_an_old_event_comes_after_a_young_one():
    with transaction.atomic():
        key = pending.write("room.a", body(1))  # of a transaction that takes days
    write("room.a", 40, 29)
    pending.sequence([key])
    set_age(Event.objects.filter(pk=key), 41)
    write("room.b", 40)
    assert retention.prune(30) == 2
    assert (kept(), kept("room.b")) == ([2, 3], [])
    set_age(Event.objects.filter(stream="room.a", seq=2), 31)
    assert retention.prune(30) == 2
    assert kept() == []


def test_it_makes_no_hole_between_two_portions():
    """The portion with the lowest key held an event that comes late in its stream, and not those before it."""
    with transaction.atomic():
        key = pending.write("room.a", body(1))  # of a transaction that took long
    write("room.a", 40, 40, 40)
    pending.sequence([key])
    set_age(Event.objects.filter(pk=key), 40)
    write("room.a", 40, 40)
    deleted, next_key = pruning.prune(NOW - timedelta(days=30), 0, limit=2)
    assert kept() == [5, 6]
    assert deleted == 4
    assert pruning.prune(NOW - timedelta(days=30), next_key, limit=10) == (2, None)
    assert kept() == []


def test_it_deletes_expired_tickets(alice):
    make_tickets(alice, 60, -1, -60)
    assert tickets.prune() == 2
    assert Ticket.objects.get().digest == "digest 60"


async def test_a_position_older_than_the_log_is_not_recovered(site, alice):
    await run(rooms.create_room, alice.pk, title="General", slug="general")
    socket = await site.connect(alice)
    await socket.ask("join", room_id="general")
    for number in range(6):
        await socket.ask("message", room_id="general", message=f"m{number}")
    last = await run(lambda: numbering.positions(["room.general"])["room.general"])
    old = range(1, last - 1)  # all but the last two
    age = timezone.now() - timedelta(days=40)
    await run(lambda: Event.objects.filter(stream="room.general", seq__in=old).update(created_at=age))
    assert await run(retention.prune, 30) == len(old)
    late = await site.connect(alice)
    lost = await late.ask("resume", streams={"room.general": 1})
    fetch = "/api/v1/rooms/general/messages?after=1"
    assert lost["streams"] == {"room.general": {"recovered": False, "seq": last, "fetch": fetch}}
    found = await late.ask("resume", streams={"room.general": last - 2})
    assert found["streams"] == {"room.general": {"recovered": True, "seq": last}}
    assert await run(Message.objects.count) == 6  # the history stays


class Pruners:
    """Processes with the same leases; `prune` lets one try."""

    def __init__(self):
        self.clock = Clock()
        self.leases = MemoryLeases(self.clock)
        self.each = [Pruner(self.leases), Pruner(self.leases)]

    async def prune(self, number=0):
        await run(write, "room.a", 40)
        await self.each[number].prune_if_due()
        return not await run(kept)


async def test_one_process_prunes_once_an_hour():
    pruners = Pruners()
    assert await pruners.prune(0)
    assert not await pruners.prune(1)
    assert not await pruners.prune(0)  # nor does the same one again
    pruners.clock.sleep(3599)
    assert not await pruners.prune(1)
    pruners.clock.sleep(1)
    assert await pruners.prune(1)
    assert not await pruners.prune(0)
    assert pruners.each[0].try_seconds == 600


async def test_it_keeps_events_for_ever_when_told_to(settings):
    settings.REALTIME = {**settings.REALTIME, "EVENT_DAYS": 0}
    assert not await Pruners().prune()


async def test_it_deletes_in_portions_in_the_server_too(monkeypatch):
    monkeypatch.setattr(pruning.prune, "__defaults__", (10,))
    await run(write, "room.a", *[40] * 25)
    assert await Pruners().prune()


async def test_it_waits_for_leases_that_are_away(monkeypatch):
    async def fail(*args):
        raise LeasesUnavailable("away")

    pruners = Pruners()
    monkeypatch.setattr(pruners.leases, "acquire", fail)
    assert not await pruners.prune()


def prune_events(*arguments):
    out = StringIO()
    call_command("prune_events", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_says_what_it_did(alice):
    make_tickets(alice, -1)
    write("room.a", 40, 20, 5)
    assert prune_events() == "Events older than 30 days: 1 deleted. Expired tickets: 1 deleted.\n"
    assert prune_events("--days", "10.5") == "Events older than 10.5 days: 1 deleted. Expired tickets: 0 deleted.\n"
    assert prune_events("--days", "4", "--verbosity", "0") == ""
    assert kept() == []


@pytest.mark.parametrize("days", ["0", "-1", "nan", "inf", "1e9"])
def test_the_command_refuses_to_delete_everything(days):
    write("room.a", 40)
    with pytest.raises(CommandError, match="above 0"):
        prune_events(f"--days={days}")
    assert kept() == [1]


def test_the_command_needs_a_number_where_events_are_kept_for_ever(settings):
    settings.REALTIME = {**settings.REALTIME, "EVENT_DAYS": 0}
    write("room.a", 40)
    with pytest.raises(CommandError, match="kept for ever"):
        prune_events()
    assert prune_events("--days=30").startswith("Events older than 30 days: 1 deleted.")
