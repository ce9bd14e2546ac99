"""Each client counts right by what it is sent, whatever happens to the announcements."""

import asyncio
import json
import random
from types import SimpleNamespace

import pytest

from realtime.delivery import announcer as announcers
from realtime.delivery.announcer import Announcer
from realtime.delivery.connection import MOST_HELD
from realtime.delivery.registry import Registry
from realtime.protocol import census as censuses
from realtime.protocol.census import Census
from realtime.protocol.outgoing import Announcement, Frame
from tests.paper import open_connection


class Process:
    """The sockets of a process, the number of each user's last change, and the store's answers."""

    def __init__(self):
        self.registry = Registry()
        self.announcer = Announcer(self.registry)
        self.online = set()
        self.version = 1_000

    def open(self, user="watcher", *, greet=True):
        """A socket that has been counted, and greeted."""
        connection, socket = open_connection(str(abs(hash(user)) % 10**9))
        connection.user_key = user
        connection.hold()
        self.registry.add(connection)
        if greet:
            self.greet(connection)
        return connection, socket

    @property
    def census(self):
        return Census(len(self.online), self.version)

    def greet(self, connection, census=None):
        found = census or self.census
        greeting = {"type": "connected", "data": {"online_count": found.online_count}}
        connection.greet(json.dumps(greeting).encode(), found.version)

    def change(self, user):
        """The user comes or goes. Returns the announcement."""
        self.online ^= {user}
        self.version += 1
        status = "online" if user in self.online else "offline"
        body = json.dumps({"type": "user_status", "data": {"user_id": user, "status": status}}).encode()
        return Announcement(body, self.version, user)

    def say(self, *frames):
        """Announce, and let the announcements be sent."""
        for frame in frames:
            self.announcer.add(frame)
        self.announcer._flush()

    def note(self):
        self.announcer.note(self.census)


def count(socket):
    """The guide's rule."""
    total = 0
    for frame in socket.frames:
        match frame:
            case {"type": "connected" | "online_count", "data": {"online_count": given}}:
                total = given
            case {"type": "user_status", "data": {"status": status}}:
                total += 1 if status == "online" else -1
    return total


def shown(socket):
    """The users who are online for a client that remembers what it was told last of each."""
    told = {frame["data"]["user_id"]: frame["data"]["status"] for frame in socket.frames if "status" in frame["data"]}
    return {user for user, status in told.items() if status == "online"}


def types(socket):
    return [frame["type"] for frame in socket.frames]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(announcers, "COUNT_SECONDS", 0.0)
    monkeypatch.setattr(announcers, "RESTART_SECONDS", 0.0)
    monkeypatch.setattr(censuses, "LOST_SECONDS", 0.0)
    # The limit allows no more meanwhile.
    monkeypatch.setattr(announcers, "time", SimpleNamespace(monotonic=lambda: 0.0))


@pytest.fixture
async def process():
    process = Process()
    process.note()
    return process


async def test_a_newcomer_does_not_hear_whom_its_greeting_counts(process):
    _, before = process.open()
    frames = [process.change(user) for user in "abc"]
    _, after = process.open()
    process.say(*frames, process.change("d"))
    assert types(before) == ["connected", *["user_status"] * 4]
    assert types(after) == ["connected", "user_status"]
    assert count(before) == count(after) == 4


async def test_it_hears_whoever_came_while_it_was_not_greeted(process):
    newcomer, socket = process.open(greet=False)
    process.say(process.change("a"))
    asked = process.census
    process.say(process.change("b"), process.change("c"))
    process.greet(newcomer, asked)
    process.say(process.change("b"))
    assert types(socket) == ["connected", "user_status", "user_status", "user_status"]
    assert count(socket) == 2
    assert newcomer.held is None


async def test_order_does_not_matter(process):
    _, socket = process.open()
    frames = [process.change(user) for user in "abcdef"]
    random.Random(1).shuffle(frames)
    for frame in frames:
        process.say(frame)
    process.note()
    process.note()
    assert count(socket) == 6
    assert "online_count" not in types(socket)


async def test_whoever_is_back_does_not_seem_gone_when_the_announcements_overtake_each_other(process):
    """The process that had to say that they were gone stood still, and another one said that they are back."""
    _, socket = process.open()
    process.say(process.change("a"))
    gone, back = process.change("a"), process.change("a")
    process.say(back)
    process.say(gone)
    process.note()
    process.note()
    assert shown(socket) == process.online == {"a"}
    assert count(socket) == 1


@pytest.mark.parametrize("seed", range(5))
async def test_the_last_change_of_each_user_is_what_is_shown(process, seed):
    _, socket = process.open()
    frames = [process.change(user) for user in "abcabdabcab"]
    random.Random(seed).shuffle(frames)
    for frame in frames:
        process.say(frame)
    process.note()
    process.note()
    assert shown(socket) == process.online
    assert count(socket) == len(process.online)


async def test_those_who_hear_of_some_users_only_hear_nothing_outdated(process):
    connection, socket = process.open()
    gone, back = process.change("a"), process.change("a")
    for _ in range(2):  # two processes have found out about it
        process.announcer.tell(back, {connection})
    assert process.announcer.take_miscounting() == set()
    process.announcer.tell(gone, {connection})
    assert types(socket) == ["connected", "user_status"]
    assert process.announcer.take_miscounting() == {"watcher"}
    assert process.announcer.take_miscounting() == set()


async def test_a_slow_socket_that_hears_of_some_users_needs_a_count_when_it_has_room(process):
    slow, socket = process.open()
    slow.on_pause(True)
    socket.waiting_bytes = 600_000
    process.announcer.tell(process.change("a"), {slow})
    assert process.announcer.take_miscounting() == set()  # it could not get one now
    socket.waiting_bytes = 0
    assert process.announcer.take_miscounting() == {"watcher"}
    number = json.dumps({"type": "online_count", "data": {"online_count": 1}}).encode()
    socket.waiting_bytes = 600_000  # again, while the count was looked up
    process.announcer.tell(Announcement(number, process.version), {slow})
    socket.waiting_bytes = 0
    assert process.announcer.take_miscounting() == {"watcher"}
    process.announcer.tell(Announcement(number, process.version), {slow})
    assert count(socket) == 1
    assert process.announcer.take_miscounting() == set()


async def test_a_slow_socket_that_closes_needs_no_count(process):
    slow, socket = process.open()
    slow.on_pause(True)
    socket.waiting_bytes = 600_000
    process.announcer.tell(process.change("a"), {slow})
    process.announcer.forget(slow)
    socket.waiting_bytes = 0
    assert process.announcer.take_miscounting() == set()


async def test_a_change_that_arrives_twice_counts_once(process):
    _, socket = process.open()
    frame = process.change("a")
    process.say(frame, frame)
    process.say(frame)
    assert count(socket) == 1


async def test_a_change_that_was_lost_is_made_up_for(process):
    _, socket = process.open()
    process.change("a")
    process.say(process.change("b"))
    assert count(socket) == 1
    process.note()  # it might be on its way
    process.note()
    assert types(socket)[-1] == "online_count"
    assert count(socket) == 2
    process.note()
    assert types(socket).count("online_count") == 1


async def test_the_last_change_is_missed_too(process):
    _, socket = process.open()
    process.change("a")
    process.note()
    process.note()
    assert count(socket) == 1


async def test_one_that_comes_after_all_is_told_and_counted_once(process):
    _, socket = process.open()
    late = process.change("a")
    process.note()
    process.note()
    process.say(late)
    assert [frame["data"] for frame in socket.frames if frame["type"] == "user_status"]
    process.note()
    assert count(socket) == 1


async def test_those_who_are_about_to_be_told_of_are_told_of_before_the_count(process):
    _, socket = process.open()
    process.change("a")  # is lost
    process.announcer.add(process.change("b"))
    process.note()
    assert types(socket) == ["connected", "user_status", "online_count"]
    assert count(socket) == 2


async def test_too_many_are_replaced_by_a_count(configure):
    configure(ANNOUNCEMENTS_PER_SECOND=3)
    process = Process()
    process.note()
    _, socket = process.open()
    process.say(*(process.change(f"user {number}") for number in range(50)))
    newcomer, later = process.open(greet=False)
    asked = process.census
    process.say(*(process.change(f"user {number}") for number in range(20)))
    process.note()
    process.greet(newcomer, asked)  # the count was sent when it could not get it
    process.note()
    assert count(socket) == count(later) == 30
    assert types(socket).count("user_status") <= 4


async def test_a_count_that_is_older_than_what_was_left_out_is_not_the_last(configure):
    configure(ANNOUNCEMENTS_PER_SECOND=1)
    process = Process()
    process.note()
    _, socket = process.open()
    old = process.census
    process.say(*(process.change(user) for user in "abcd"))
    process.announcer.note(old)
    process.announcer.note(old)
    process.note()
    assert count(socket) == 4


async def test_what_a_count_contains_is_not_told_after_it(configure):
    configure(ANNOUNCEMENTS_PER_SECOND=2)
    process = Process()
    process.note()
    _, socket = process.open()
    for user in "abcd":
        process.announcer.add(process.change(user))  # two of them wait to be sent
    process.note()
    process.announcer._flush()
    assert count(socket) == 4
    assert types(socket) == ["connected", "online_count"]


async def test_nobody_is_told_of_themselves(process):
    _, first = process.open("a")
    arrival = process.change("a")
    _, second = process.open("a")
    process.say(arrival)
    assert "user_status" not in types(first) + types(second)
    process.note()
    # The greeting of the second one has counted its user, that of the first one had not.
    assert (count(first), count(second)) == (1, 1)
    assert types(second) == ["connected"]


async def test_whoever_appears_offline_counts_as_others_do(process):
    process.online.add("a")
    _, own = process.open("a")
    _, other = process.open("b")
    process.say(process.change("a"))
    process.note()
    assert count(own) == count(other) == 0
    process.say(process.change("a"))
    process.note()
    assert count(own) == count(other) == 1
    assert types(own) == ["connected", "online_count", "online_count"]


async def test_a_user_who_is_being_greeted_needs_no_count(process):
    newcomer, socket = process.open("a", greet=False)
    frame = process.change("a")
    asked = process.census
    process.say(frame)
    process.note()
    process.greet(newcomer, asked)
    process.note()
    assert types(socket) == ["connected"]


async def test_a_slow_socket_gets_a_count_when_it_has_room(process):
    slow, socket = process.open()
    slow.on_pause(True)
    socket.waiting_bytes = 600_000
    process.say(process.change("a"), process.change("b"))
    process.note()
    assert types(socket) == ["connected"]
    socket.waiting_bytes = 0
    process.say(process.change("c"))
    process.note()
    assert count(socket) == 3
    process.note()
    assert types(socket).count("online_count") == 1


async def test_one_that_waits_long_for_its_greeting_keeps_a_bounded_number(process):
    newcomer, socket = process.open(greet=False)
    asked = process.census
    for number in range(MOST_HELD + 10):
        process.announcer._bucket.tokens = 1.0
        process.say(process.change(f"user {number}"))
    assert len(newcomer.held) == MOST_HELD
    process.greet(newcomer, asked)
    process.note()
    assert count(socket) == MOST_HELD + 10


async def test_a_guess_is_corrected(process):
    process.online, process.version = {"a", "b"}, 1_002
    newcomer, socket = process.open(greet=False)
    process.greet(newcomer, Census(7, 0))
    process.announcer.doubt(newcomer)
    process.note()
    assert count(socket) == 2


async def test_all_count_anew_when_the_store_has_gone_back(process):
    _, socket = process.open()
    process.say(*(process.change(user) for user in "abc"))
    process.online, process.version = {"a"}, 1_001
    process.announcer.restart(process.census)
    process.say(process.change("b"))
    process.note()
    assert count(socket) == 2
    process.say(process.change("c"))
    assert count(socket) == 3


async def test_it_forgets_sockets_that_have_closed(process):
    process.change("a")
    connection, _ = process.open("a", greet=False)
    process.announcer.doubt(connection)
    process.registry.remove(connection)
    process.announcer.forget(connection)
    process.note()
    assert process.announcer._lagging == {}


async def test_other_frames_reach_everybody(process):
    _, old = process.open("a")
    frames = [process.change("b")]
    _, new = process.open("c")
    process.say(*frames, Frame(b'{"type":"typing"}', exclude="a", droppable=True))
    assert (types(old), types(new)) == (["connected", "user_status"], ["connected", "typing"])


@pytest.mark.parametrize("seed", range(20))
async def test_any_history_ends_with_the_right_count(seed, configure):
    """Sockets open at any moment, and announcements are lost, repeated, late and too many."""
    configure(ANNOUNCEMENTS_PER_SECOND=40)
    chance = random.Random(seed)
    process = Process()
    process.note()
    waiting, sockets, opening = [], [], []
    for _ in range(300):
        match chance.randrange(6):
            case 0 | 1:
                waiting += [process.change(chance.choice("abcdefgh"))] * chance.choice([0, 1, 1, 1, 1, 2])
            case 2 if waiting:
                chance.shuffle(waiting)
                process.announcer.add(waiting.pop())
            case 3:
                process.announcer._flush()
            case 4:
                process.note()
            case 5 if chance.random() < 0.5 and opening:
                process.greet(*opening.pop())
            case 5:
                # The store is asked when the socket is registered, and may be asked later.
                connection, socket = process.open(chance.choice(["watcher", "x", "a", "b"]), greet=False)
                opening.append((connection, process.census))
                sockets.append(socket)
    for connection, asked in opening:
        process.greet(connection, asked)
    process.say(*waiting)
    for _ in range(4):
        process.note()
    assert {count(socket) for socket in sockets} <= {len(process.online)}
    for user in "abc":
        process.say(process.change(user))
        process.note()
    process.note()
    assert {count(socket) for socket in sockets} <= {len(process.online)}


@pytest.mark.parametrize(("seconds", "pause"), [(0.001, 0.5), (0.1, 2.0), (40.0, 10.0)])
async def test_it_pauses_longer_after_a_long_flush_but_not_because_it_stood_still(process, monkeypatch, seconds, pause):
    monkeypatch.setattr(announcers, "time", SimpleNamespace(monotonic=lambda: 100.0 + seconds))
    before = asyncio.get_running_loop().time()
    process.announcer._pause(100.0)
    after = asyncio.get_running_loop().time()
    assert before + pause <= process.announcer._flushing.when() + 1e-6 <= after + pause + 2e-6


async def test_its_timers_send_by_themselves(process, monkeypatch):
    monkeypatch.setattr(announcers, "GATHER_SECONDS", 0.0)
    _, socket = process.open()
    process.announcer.add(process.change("a"))
    await socket.until(lambda: count(socket) == 1)
    process.announcer.add(process.change("b"))
    await socket.until(lambda: count(socket) == 2)
