"""How many lists are made at once for one user: a few wait, more are refused, and nobody else notices."""

from threading import Event, Thread

import pytest
from django.db import connection, transaction

from realtime.api import lists
from realtime.api.lists import MAX_WAITING, WAIT_SECONDS, Queues
from realtime.chat import history
from realtime.models import Message, Room
from tests.patience import PATIENCE_SECONDS
from tests.people import client_for
from tests.sites.processes import wait_until

PATHS = [
    "online",
    "status?user_ids=1",
    "rooms",
    "rooms/general/members",
    "rooms/general/messages",
    "messages",
    "notifications",
    "notifications/follows",
]


@pytest.fixture
def queues(monkeypatch):
    fresh = Queues(MAX_WAITING, WAIT_SECONDS)
    monkeypatch.setattr(lists, "queues", fresh)
    return fresh


def in_thread(function):
    thread = Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_it_lets_a_few_wait_and_refuses_more(queues):
    queues.wait_seconds = PATIENCE_SECONDS
    first = queues.enter("1", 1)
    served = []
    waiting = [in_thread(lambda: served.append(queues.enter("1", 1))) for _ in range(MAX_WAITING)]
    wait_until(lambda: first.length == 1 + MAX_WAITING)
    assert queues.enter("1", 1) is None
    assert queues.enter("2", 1) is not None
    assert served == []
    for number in range(1, MAX_WAITING + 1):
        queues.leave("1", first)
        wait_until(lambda number=number: len(served) == number)
    for thread in waiting:
        thread.join(PATIENCE_SECONDS)
    assert served == [first] * MAX_WAITING


def test_it_gives_up_after_a_while_and_keeps_nothing(queues):
    queues.wait_seconds = 0.01
    first = queues.enter("1", 1)
    assert queues.enter("1", 1) is None
    queues.leave("1", first)
    assert len(queues) == 0


@pytest.mark.django_db(transaction=True)
def test_whoever_waits_keeps_no_connection_to_the_database(queues, monkeypatch):
    """Those of a pool are few. The connection of a transaction has to stay."""
    queues.wait_seconds = 0.01
    connection.ensure_connection()
    closed = []
    monkeypatch.setattr(connection, "close", lambda: closed.append(1))
    assert queues.enter("1", 1) is not None
    with transaction.atomic():
        assert queues.enter("1", 1) is None
    assert closed == []
    assert queues.enter("1", 1) is None
    assert closed == [1]


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
def test_each_list_has_its_turn(alice, general, queues, monkeypatch, path):
    entered = []
    enter = queues.enter
    monkeypatch.setattr(queues, "enter", lambda user, at_once: entered.append((user, at_once)) or enter(user, at_once))
    assert client_for(alice).get(f"/api/v1/{path}").status_code == 200
    assert entered == [(str(alice.pk), 1)]
    assert len(queues) == 0


def who_sees_whom(user_id):
    return ()


THIS = f"{__name__}.{who_sees_whom.__name__}"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("audience", "count", "status"),
    [
        ({"PRESENCE_AUDIENCE": "everyone"}, 200, 200),
        ({"PRESENCE_AUDIENCE": "rooms"}, 429, 200),
        ({"PRESENCE_AUDIENCE": THIS, "PRESENCE_VISIBLE": THIS}, 429, 429),
    ],
    ids=["everyone", "rooms", "a function"],
)
def test_presence_has_its_turn_where_all_that_may_be_seen_are_looked_up(
    alice, queues, configure, audience, count, status
):
    configure(**audience)
    queues.wait_seconds = 0.0
    client, turn = client_for(alice), queues.enter(str(alice.pk), 1)
    assert client.get("/api/v1/online/count").status_code == count
    assert client.get(f"/api/v1/status/{alice.pk}").status_code == status
    queues.leave(str(alice.pk), turn)
    assert client.get("/api/v1/online/count").json() == {"online_count": 0}
    assert client.get(f"/api/v1/status/{alice.pk}").json()["user_id"] == alice.pk
    assert len(queues) == 0


@pytest.mark.django_db
def test_it_answers_who_asks_for_too_many_when_to_ask_again(alice, bob, general, queues):
    queues.wait_seconds = 0.0
    turn = queues.enter(str(alice.pk), 1)
    client = client_for(alice)
    for path in PATHS:
        answer = client.get(f"/api/v1/{path}")
        assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (429, "RATE_LIMITED", "1"), path
    assert client.post("/api/v1/rooms/general/members").status_code == 200  # not a list
    assert client_for(bob).get("/api/v1/rooms").status_code == 200
    queues.leave(str(alice.pk), turn)
    assert client.get("/api/v1/rooms").status_code == 200


@pytest.mark.django_db
def test_a_list_that_fails_gives_its_turn_back(alice, queues, configure):
    configure(LISTS_PER_USER=1)
    client = client_for(alice)
    for path in ("rooms?limit=x", "rooms/none/messages", "rooms/none/members"):
        assert client.get(f"/api/v1/{path}").status_code in (400, 404)
    assert len(queues) == 0


@pytest.mark.django_db
@pytest.mark.parametrize("limit", [0, None])
def test_it_can_be_switched_off(alice, queues, configure, limit):
    configure(LISTS_PER_USER=limit)
    queues.enter = None
    assert client_for(alice).get("/api/v1/rooms").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_turn_lasts_until_the_answer_is_written(alice, queues, configure, monkeypatch):
    """A second request waits for the first one, which is held while its answer is being made."""
    configure(LISTS_PER_USER=1)
    held, go_on, codes = Event(), Event(), []
    render = lists.Response.render

    def hold(response):
        if response.is_rendered or response.status_code != 200:
            return render(response)
        held.set()
        assert go_on.wait(PATIENCE_SECONDS)
        return render(response)

    monkeypatch.setattr(lists.Response, "render", hold)

    def ask():
        codes.append(client_for(alice).get("/api/v1/rooms").status_code)
        connection.close()

    first = in_thread(ask)
    assert held.wait(PATIENCE_SECONDS)
    queues.wait_seconds = 0.0
    ask()
    go_on.set()
    first.join(PATIENCE_SECONDS)
    assert codes == [429, 200]


@pytest.mark.django_db
@pytest.mark.parametrize("way", ["before", "after"])
def test_a_page_with_much_text_ends_early_and_the_next_one_follows(alice, general, way):
    """Every message comes once, and a page has at least one, however long it is."""
    room = Room.objects.get(slug="general")
    texts = ["字" * 10_000, "short", "x" * (history.PAGE_BYTES + 1), *("字" * 10_000 for _ in range(20))]
    Message.objects.bulk_create([Message(room=room, sender=alice, text=t, seq=n + 1) for n, t in enumerate(texts)])
    cursor, sizes, found = {"before": 10**6, "after": 0}[way], [], []
    while cursor is not None:
        answer = client_for(alice).get(f"/api/v1/rooms/general/messages?limit=200&{way}={cursor}").json()
        page, cursor = answer["messages"], answer[f"next_{way}"]
        sizes.append(sum(len(item["message"].encode()) for item in page))
        found += page if way == "before" else page[::-1]
    assert [item["seq"] for item in found] == sorted(range(1, len(texts) + 1), reverse=way == "before")
    assert max(sizes) == history.PAGE_BYTES + 1  # alone on its page
    assert len(sizes) > 3
