"""A client of somebody who gets notifications and nothing else, reads and archives them, and lets the site send some.

What is asked for is asked again until it is known what has become of it, as a task queue does it, with the same key. A
gap that is too wide to be resumed is filled with the list of notifications, which says what there is, but not in which
order their events were stored.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.chaos.account import Frame
from tests.chaos.client import Client
from tests.chaos.history import WAIT_SECONDS, History
from tests.chaos.people import Person
from tests.chaos.road import now

DONE, COMMITTED, GONE, TAKEN_BACK, UNKNOWN = 200, 204, 404, 409, 503
MOST_AT_ONCE = 3  # readers of one notification
TAKEN_BACK_SHARE = 0.2
WITHDRAWN_SHARE = 0.1
WITHDRAWN = "withdrawn"
ACTS = ("read", "archive")
REQUEST_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Notified:
    """What the site was let send, and between which moments of this process it was stored."""

    readers: list[int]  # their ids
    begun: float
    ended: float


class Reader(Client):
    def __init__(
        self, number: int, readers: Sequence[Person], ports: Sequence[int], history: History, seed: int
    ) -> None:
        super().__init__(number, readers[number % len(readers)], ports, history, seed)
        self.rooms, self.streams = [], self.streams[:1]
        self.committed: dict[str, Notified] = {}  # by key
        self.withdrawn: set[str] = set()  # keys
        self.acted: set[tuple[str, int]] = set()  # acts on notifications, by id
        self.lists: list[list[int]] = []  # ids of notifications, the newest first
        self.unread: int | None = None  # as REST counts them, at the end
        self._known: list[int] = []  # ids of notifications that have come
        self._readers = readers
        self._asking: set[asyncio.Task[None]] = set()
        self._asked = 0

    async def write(self) -> None:
        """Let the site notify people until cancelled; then wait until it is known what has become of each."""
        async with httpx.AsyncClient(timeout=REQUEST_SECONDS, trust_env=False) as http:
            try:
                while True:
                    await asyncio.sleep(self._random.uniform(0.3, 2))
                    self._begin(self._notify(http))
                    if self._known:
                        self._begin(self._act(http, self._random.choice(ACTS), self._random.choice(self._known)))
            finally:
                await asyncio.gather(*self._asking)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def flood(self, seconds: float) -> None:
        """It writes no messages."""

    async def _notify(self, http: httpx.AsyncClient) -> None:
        self._asked += 1
        readers = self._random.sample(self._readers, self._random.randint(1, MOST_AT_ONCE))
        wanted = {
            "key": f"{self.number}-{self._asked}",
            "readers": [reader.id for reader in readers],
            "is_taken_back": self._random.random() < TAKEN_BACK_SHARE,
        }
        begun = now()
        outcome, times = await self._ask(http, "chaos/notify", wanted)
        if outcome == COMMITTED and not wanted["is_taken_back"]:
            self.committed[wanted["key"]] = Notified(wanted["readers"], begun, now())
            # Of several requests, one that nobody waits for any more may still be on its way.
            if times == 1 and self._random.random() < WITHDRAWN_SHARE:
                await self._withdraw(http, wanted["key"])
        elif outcome != TAKEN_BACK or not wanted["is_taken_back"]:
            self.account.violations.append(f"{wanted} was answered {outcome}")

    async def _withdraw(self, http: httpx.AsyncClient, key: str) -> None:
        self.withdrawn.add(key)
        outcome, _ = await self._ask(http, "chaos/withdraw", {"key": key})
        self.counts[WITHDRAWN] += 1
        if outcome != COMMITTED:
            self.account.violations.append(f"withdrawing {key} was answered {outcome}")

    async def _act(self, http: httpx.AsyncClient, act: str, id: int) -> None:
        outcome, _ = await self._ask(http, f"api/v1/notifications/{id}/{act}", {})
        if outcome == DONE:
            self.counts["acts"] += 1
            self.acted.add((act, id))
        elif outcome == GONE:
            self.counts["acts on what was withdrawn"] += 1
            self.acted.add(("none", id))
        else:
            self.account.violations.append(f"{act} of {id} was answered {outcome}")

    async def _ask(self, http: httpx.AsyncClient, path: str, wanted: Frame) -> tuple[int, int]:
        """The status, once it is known, and how often it took to ask."""
        headers, times = {"Authorization": f"Bearer {self.person.token}"}, 0
        while True:
            times += 1
            address = f"http://127.0.0.1:{self._random.choice(self._ports)}/{path}"
            try:
                status = (await http.post(address, json=wanted, headers=headers)).status_code
            except httpx.TransportError:
                status = UNKNOWN
            if status != UNKNOWN:
                return status, times
            await asyncio.sleep(WAIT_SECONDS)

    async def _on_frame(self, frame: Frame) -> None:
        await super()._on_frame(frame)
        if frame["type"] == "notification":
            self._known.append(frame["data"]["id"])

    async def count(self) -> None:
        self.unread = await self._history.count_unread(self.person)

    async def _fill(self, stream: str, outcome: Frame) -> None:
        self.counts["recovered" if outcome["recovered"] else "gaps filled with the list"] += 1
        if not outcome["recovered"]:
            self.lists.append(await self._load(self._history.list_notifications(self.person)))
            self.listed.update(self.lists[-1])
            self.account.skip_to(stream, outcome["seq"])
