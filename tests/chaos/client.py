"""A client as it should be: it comes back, resumes, sends again what was not acked, and keeps account of what it got.

Half of the clients resume with positions of their own, half by the session; some name their rooms in `resume`, the
others join them again with `since`; some want their frames in batches.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from tests.chaos.account import Account, Frame, read_id
from tests.chaos.history import History, read_after
from tests.chaos.outbox import Outbox
from tests.chaos.people import ROOMS, Person
from tests.chaos.road import Road, now
from tests.contract.description import find_fault

ROOMS_EACH = 3
SILENCE_SECONDS = 6.0  # three heartbeats: nobody is there any more
OPEN_SECONDS = 8.0
SIGN_OF_LIFE_SECONDS = 1.0
LONGEST_BACK_OFF_SECONDS = 2.0
LONGEST_TEXT = "\U0001f30a" * 10_000  # 40 KB
FLOOD = 16  # messages
MAY_COME_BACK = {1011, 1012, 1013, 4408, 4409, 4413, 4429}
TORN = "lost in the middle of a frame"
PASSING_ERRORS = {"UNAVAILABLE", "RATE_LIMITED"}

T = TypeVar("T")


class Gone(Exception):
    """This socket is of no use any more."""


class Client:
    """One client of one person, over its own road."""

    def __init__(self, number: int, person: Person, ports: Sequence[int], history: History, seed: int) -> None:
        self.number = number
        self.person = person
        self.road = Road()
        self.account = Account()
        self.outbox = Outbox(self.account.violations)
        self.counts: Counter[str] = Counter()
        self.longest_away = 0.0
        self.is_ready = False  # all streams go on where they were
        self.is_leaving = False
        self.listed: set[int] = set()  # what filled a gap without an order
        self._random = Random(f"client {seed} {number}")
        self._ports = ports
        self._history = history
        self.rooms = self._random.sample(ROOMS, ROOMS_EACH)
        self.streams = [f"user.{person.id}", *(f"room.{room}" for room in self.rooms)]
        self._by_session = number % 2 == 1
        self._names_rooms = number % 4 >= 2  # in `resume`, instead of joining them
        self._wish = "&batch=10&flush_ms=300" if number % 5 == 0 else ""
        self._session = ""  # can be taken up: everything on it had been resumed
        self._next_session = ""
        self._claiming = False  # the server is to resume by itself
        self._subscribed: dict[str, int] = {}  # what the greeting said of the user's stream
        self._socket: ClientConnection | None = None
        self._failures = 0
        self._come_back_at = 0.0
        self._lost_at: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # Coming and going

    async def live(self) -> None:
        """Until `is_leaving`."""
        async with self.road:
            self._lost_at = now()
            while not self.is_leaving:
                try:
                    await self._visit()
                except InvalidStatus as error:
                    self._note_status(error.response.status_code)
                except (OSError, WebSocketException, TimeoutError, Gone) as error:
                    self.counts[f"lost by {type(error).__name__}"] += 1
                self._note_lost()
                await asyncio.sleep(self._back_off())

    async def _visit(self) -> None:
        self.road.target = self._random.choice(self._ports)
        self._claiming = self._by_session and bool(self._session)
        path = f"/reconnect/{self._session}" if self._claiming else ""
        address = f"ws://127.0.0.1:{self.road.port}/api/v1/ws{path}?token={self.person.token}{self._wish}"
        options: dict[str, Any] = {"ping_interval": None, "compression": None, "proxy": None, "close_timeout": 0.5}
        async with connect(address, open_timeout=OPEN_SECONDS, **options) as socket:
            self._socket = socket
            self.account.begin(self.streams)
            try:
                while not self.is_leaving:
                    async with asyncio.timeout(SILENCE_SECONDS):
                        text = await socket.recv()
                    await self._on_frame(json.loads(text))
            finally:
                if str(socket.protocol.parser_exc).startswith("stream ends after"):
                    self.counts[TORN] += 1
                if not self.is_leaving:
                    socket.transport.abort()  # no ceremonies on a road that may be hanging

    def _note_status(self, status: int) -> None:
        self.counts[f"refused with {status}"] += 1
        if status != 503:
            self.account.violations.append(f"the handshake was answered {status}")

    def _note_lost(self) -> None:
        self._socket = None
        self._failures += 1
        self.outbox.forget_sent()
        if self.is_ready:
            self.is_ready = False
            self._lost_at = now()
        for task in tuple(self._tasks):
            task.cancel()

    def _back_off(self) -> float:
        if self.is_leaving:
            return 0.0
        delay: float = min(LONGEST_BACK_OFF_SECONDS, 0.1 * 2**self._failures) * self._random.uniform(0.5, 1)
        return max(delay, self._come_back_at - now())

    def _note_ready(self) -> None:
        if self.is_ready or self.account.waiting:
            return
        self.is_ready, self._failures = True, 0
        self._session = self._next_session
        self.counts["connected"] += 1
        if self._lost_at is not None:
            self.longest_away = max(self.longest_away, now() - self._lost_at)
        for command in self.outbox.all():
            self._soon(0, command)

    # Frames

    async def _on_frame(self, frame: Frame) -> None:
        if fault := find_fault(frame):
            self.account.violations.append(fault)
        if "seq" in frame and "stream" in frame:
            if self.account.accept(frame["stream"], frame["seq"], read_id(frame)):
                self._on_event(frame)
            return
        handler: Callable[[Frame], Any] | None = getattr(self, f"_on_{frame['type']}", None)
        if handler is not None and (work := handler(frame)) is not None:
            await work

    def _on_event(self, frame: Frame) -> None:
        """The next event of its stream."""

    async def _on_batch(self, frame: Frame) -> None:
        for part in frame["messages"]:
            await self._on_frame(part)

    def _on_connected(self, frame: Frame) -> None:
        self._next_session = frame["data"]["session_id"]
        self._subscribed = {self.streams[0]: frame["data"]["streams"][self.streams[0]]}
        if not self._claiming:
            self._resume()

    async def _on_heartbeat(self, frame: Frame) -> None:
        await self._send({"type": "pong"})
        self.outbox.require_answers(now())

    def _on_ack(self, frame: Frame) -> None:
        self.outbox.take_ack(frame["id"], frame["seq"], frame["message_id"])

    async def _on_resumed(self, frame: Frame) -> None:
        if self._claiming:
            self._claiming = False
            self.counts["sessions taken up"] += 1
        else:
            self.outbox.take_answer(frame["id"])
        for stream, outcome in frame["streams"].items():
            await self._fill(stream, outcome)
            self.account.go_on(stream, outcome["seq"])
        for stream in self.account.waiting:
            self._join(stream.removeprefix("room."))
        self._note_ready()

    async def _on_joined(self, frame: Frame) -> None:
        """What was missed follows."""
        self.outbox.take_answer(frame["id"])
        stream = f"room.{frame['room_id']}"
        await self._fill(stream, frame)
        self.account.go_on(stream, self.account.position(stream) if frame["recovered"] else frame["seq"])
        self._note_ready()

    async def _fill(self, stream: str, outcome: Frame) -> None:
        """Load what was not recovered."""
        self.counts["recovered" if outcome["recovered"] else "not recovered"] += 1
        if outcome["recovered"]:
            return
        if outcome["seq"] < read_after(outcome["fetch"]):
            self.account.violations.append(f"{stream} was sent back: {outcome}")
        asking = self._history.fetch(self.person, stream, outcome["fetch"], until=outcome["seq"])
        self.account.accept_history(stream, await self._load(asking), outcome["seq"])

    async def _load(self, asking: Coroutine[Any, Any, list[T] | None]) -> list[T]:
        """Nothing is read meanwhile, heartbeats neither: it proves life unasked, however long it takes.

        Not by a `pong`, which would confirm frames that have not been read: a session would go on after them.
        """
        loading = asyncio.ensure_future(asking)
        try:
            while not (await asyncio.wait([loading], timeout=SIGN_OF_LIFE_SECONDS))[0]:
                await self._send({"type": "ping"})
            if (found := loading.result()) is None:
                raise Gone
            return found
        finally:
            loading.cancel()

    def _on_error(self, frame: Frame) -> None:
        code, id = frame["error_code"], frame.get("id")
        self.counts[f"error {code}"] += 1
        if id is None and self._claiming and code in ("NOT_FOUND", "UNAVAILABLE") and "stream" not in frame:
            self._claiming = False
            self.counts["sessions refused"] += 1
            self._resume()
        elif id in self.outbox.waiting and code in PASSING_ERRORS:
            delay = frame.get("retry_after_ms", self._random.uniform(200, 800)) / 1000
            self._soon(delay, self.outbox.take_refusal(id))
        else:
            self.account.violations.append(f"answered {frame}")

    def _on_disconnect(self, frame: Frame) -> None:
        self.counts[f"disconnect {frame['reason']}"] += 1
        self._come_back_at = now() + frame["retry_after_ms"] / 1000
        if frame["code"] not in MAY_COME_BACK or frame["code"] == 1011:
            self.account.violations.append(f"disconnected {frame}")

    # Commands

    async def write(self) -> None:
        """Write to rooms and people until cancelled."""
        while True:
            await asyncio.sleep(self._random.uniform(0.3, 2))
            self._write_one("x" * self._random.choice((1, 20, 200, 2000)))

    async def flood(self, seconds: float) -> None:
        """Write the longest messages that there can be, all within this time."""
        for _ in range(FLOOD):
            self._write_one(LONGEST_TEXT)
            await asyncio.sleep(seconds / FLOOD)

    def _write_one(self, text: str) -> None:
        if not self.outbox.is_full:
            command = self.outbox.add(f"{self.number}-", {"type": "message", "message": text, **self._place()})
            if self.is_ready:
                self._soon(0, command)

    def _place(self) -> Frame:
        if self._random.random() < 0.7:
            return {"room_id": self._random.choice(self.rooms)}
        others = [person.id for person in self._history.people if person.id != self.person.id]
        return {"to_user_id": self._random.choice(others)}

    def _resume(self) -> None:
        self.account.last = self._subscribed  # from the beginning, where no session was taken up
        streams = self.streams if self._names_rooms else self.streams[:1]
        wanted = {"type": "resume", "streams": self.account.positions(streams)}
        self._soon(0, self.outbox.ask("resume", wanted))

    def _join(self, room: str) -> None:
        since = self.account.position(f"room.{room}")
        self._soon(0, self.outbox.ask(f"join {room}", {"type": "join", "room_id": room, "since": since}))

    def _soon(self, delay: float, command: Frame) -> None:
        task = asyncio.get_running_loop().create_task(self._send_later(delay, command))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_later(self, delay: float, command: Frame) -> None:
        if delay:
            await asyncio.sleep(delay)
        self.outbox.note_sent(command["id"], now())
        if command["type"] == "resume":
            self.account.expect_replay(command["streams"])
        await self._send(command)

    async def _send(self, frame: Frame) -> None:
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(json.dumps(frame, ensure_ascii=False))
