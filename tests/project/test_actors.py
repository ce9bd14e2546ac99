"""The people of the demo who talk by themselves: what they do, when they stop, and that there is one company."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.management import CommandError, call_command

from project.demo import performance, stage
from project.demo.actors import Company
from project.demo.people import ACTORS
from project.demo.script import EVERY_LINE, SCENES
from project.management.commands import demo_traffic
from project.management.commands.load_demo import make_actor, make_room
from realtime import adisconnect_user
from realtime.models import Message
from realtime.storage.database import run
from tests.patience import PATIENCE_SECONDS
from tests.sites.in_process import TcpServer

NAMES = [person.username for person in ACTORS]


class PaperLine:
    """A socket of which the test is the server."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.incoming: asyncio.Queue[str | None] = asyncio.Queue()
        self.is_closed = False
        self.hear(type="connected")

    async def send(self, message: str) -> None:
        self.sent.append(json.loads(message))
        if self.sent[-1]["type"] == "message":
            self.hear(type="ack", id=self.sent[-1]["id"])

    async def close(self) -> None:
        self.is_closed = True

    async def __aiter__(self) -> AsyncIterator[str]:
        while (text := await self.incoming.get()) is not None:
            yield text

    def hear(self, **frame: Any) -> None:
        self.incoming.put_nowait(json.dumps(frame))


class BreakingLine(PaperLine):
    """A socket that breaks while a message is under way."""

    async def __aiter__(self) -> AsyncIterator[str]:
        async for text in super().__aiter__():
            if json.loads(text)["type"] == "ack":
                raise ConnectionError
            yield text


class Stage:
    """Papers instead of sockets, and a number of lines after which nobody wants more."""

    def __init__(self, lines: int, then: Any = lambda stage: None, paper: type[PaperLine] = PaperLine) -> None:
        self.lines: dict[str, PaperLine] = {}
        self._paper = paper
        self._left = lines
        self._then = then

    async def open(self, username: str) -> PaperLine:
        return self.lines.setdefault(username, self._paper())

    async def is_wanted(self) -> bool:
        await asyncio.sleep(0)  # so that they hear what was said
        self._then(self)
        self._left -= 1
        return self._left >= 0

    async def perform(self) -> None:
        await Company(NAMES, self.open, self.is_wanted, 0).perform()

    def said(self, kind: str = "message") -> list[dict[str, Any]]:
        return [frame for line in self.lines.values() for frame in line.sent if frame["type"] == kind]


async def test_each_joins_the_rooms_types_and_talks() -> None:
    paper = Stage(lines=500)
    await paper.perform()
    assert list(paper.lines) == NAMES
    assert len(paper.said()) == 500
    assert len(paper.said("typing")) == 1000
    assert {frame["room_id"] for frame in paper.said("join")} >= {frame["room_id"] for frame in paper.said()}
    assert {frame["message"] for frame in paper.said()} <= {line.text for line in EVERY_LINE}
    assert all(line.is_closed for line in paper.lines.values())


async def test_they_answer_heartbeats_and_visitors() -> None:
    def say(stage: Stage) -> None:
        for line in stage.lines.values():
            line.hear(type="heartbeat")
            line.hear(type="chat", data={"from_username": "Alice Meyer", "room_id": "team-x", "message": "Hello?"})
            line.hear(type="chat", data={"from_username": "Emil Novák", "room_id": "support", "message": "Hm."})
            line.hear(type="chat", data={"from_username": "Alice Meyer", "to_user_id": 7, "message": "Secret."})

    paper = Stage(lines=3, then=say)
    await paper.perform()
    assert paper.said("pong")
    assert any(frame["room_id"] == "team-x" for frame in paper.said())


async def test_they_stop_when_a_socket_was_closed() -> None:
    paper = Stage(lines=1000, then=lambda stage: stage.lines["lin"].incoming.put_nowait(None))
    await paper.perform()
    assert len(paper.said()) <= 2


async def test_nobody_waits_for_the_answer_of_a_socket_that_has_broken() -> None:
    paper = Stage(lines=1000, paper=BreakingLine)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await paper.perform()
    assert len(paper.said()) == 1


def test_one_company_has_the_place_while_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "PLACE_SECONDS", 600)
    stage.note_visitor()
    assert stage.take_place("first")
    assert stage.keep_place("first")
    assert not stage.take_place("second")
    assert not stage.keep_place("second")
    stage.leave_place("second")
    cache.delete(stage.SAID)
    assert not stage.keep_place("first")
    stage.leave_place("first")
    assert not stage.take_place("second")
    stage.note_visitor()
    assert stage.take_place("second")


def test_all_companies_together_say_only_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "LINES_AT_MOST", 2)
    for name in ("first", "second"):
        stage.note_visitor()
        assert stage.keep_place(name)
        stage.leave_place(name)
    stage.note_visitor()
    assert not stage.take_place("third")


@pytest.fixture
def company(general: Any, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All actors have accounts and are in the rooms in which they talk, and talk without a pause."""
    monkeypatch.setattr(performance, "LINE_SECONDS", 0)
    people = [make_actor(person) for person in ACTORS]
    for room in ("general", "releases", "support"):
        make_room(room, room, [bob, *people])


@pytest.mark.usefixtures("company")
async def test_a_visitor_sees_them_come_and_hears_them(site: Any, alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over real sockets of this process, as the topic of the demo starts them."""
    monkeypatch.setattr(stage, "LINES_AT_MOST", 30)
    visitor = await site.connect(alice)
    await visitor.ask("join", room_id="general")
    show = performance.Performance()
    await show.go_on()
    await show.go_on()
    frame = await visitor.expect("chat")
    assert frame["data"]["message"] in {line.text for line in EVERY_LINE}
    assert show._task is not None
    await show._task
    assert not await run(cache.get, stage.PLACE)


@pytest.mark.usefixtures("site", "company")
async def test_they_do_not_begin_again_while_the_same_visitors_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "LINES_AT_MOST", 5)
    show = performance.Performance()
    await show.go_on()
    first = show._task
    assert first is not None
    await first
    assert await run(Message.objects.count) == 5
    await show.go_on()
    assert show._task is first
    await run(cache.delete, stage.SAID)  # nobody has looked for a while
    await show.go_on()
    assert show._task is not first
    await show._task
    assert await run(Message.objects.count) == 10


@pytest.mark.usefixtures("site", "company")
async def test_the_others_talk_without_somebody_who_is_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "LINES_AT_MOST", len(SCENES))
    await run(get_user_model().objects.filter(username="emil").update, is_active=False)
    show = performance.Performance()
    await show.go_on()
    assert show._task is not None
    await show._task
    said = await run(list, Message.objects.values_list("sender__username", flat=True))
    assert len(said) == len(SCENES)
    assert set(said) == set(NAMES) - {"emil"}


async def test_without_their_accounts_nobody_talks(site: Any, alice: Any, caplog: pytest.LogCaptureFixture) -> None:
    show = performance.Performance()
    await show.go_on()
    assert show._task is not None
    await show._task
    assert caplog.text.count("run `load_demo`") == 1
    await show.go_on()
    assert show._task.done()


@pytest.fixture
def patient_command(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`demo_traffic` waits for a busy machine. Each look at its clock takes a second."""
    settings.DEMO = True
    seconds = itertools.count()
    monkeypatch.setattr(demo_traffic, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    connect = partial(demo_traffic.connect, open_timeout=PATIENCE_SECONDS, ping_interval=None)
    monkeypatch.setattr(demo_traffic, "connect", connect)


only_tcp = pytest.mark.parametrize("site", [TcpServer], indirect=True, ids=["direct"])


@only_tcp
@pytest.mark.usefixtures("company", "patient_command")
async def test_by_the_command_they_talk_as_long_as_it_says(site: Any) -> None:
    await site.start()
    url = f"ws://{site.host}/api/v1/ws"
    await asyncio.to_thread(call_command, "demo_traffic", url=url, every=0, minutes=1)
    assert await run(Message.objects.count) == 59


@only_tcp
@pytest.mark.usefixtures("company", "patient_command")
async def test_the_command_says_that_they_could_not_go_on(site: Any, alice: Any) -> None:
    visitor = await site.join(alice)
    url = f"ws://{site.host}/api/v1/ws"
    talking = asyncio.create_task(asyncio.to_thread(call_command, "demo_traffic", url=url, every=0, minutes=1_000_000))
    await visitor.expect("chat")
    await adisconnect_user(await run(get_user_model().objects.get, username="lin"))
    with pytest.raises(CommandError, match="The site at ws://"):
        await talking


@pytest.mark.django_db(transaction=True)
def test_the_command_is_for_the_demo_and_needs_a_site(settings: Any) -> None:
    with pytest.raises(CommandError, match="DEBUG"):
        call_command("demo_traffic")
    settings.DEMO = True
    with pytest.raises(CommandError, match="run `load_demo`"):
        call_command("demo_traffic")
    make_actor(ACTORS[0])
    with pytest.raises(CommandError, match="does not answer"):
        call_command("demo_traffic", url="ws://127.0.0.1:1/api/v1/ws")
