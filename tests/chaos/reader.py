"""A client of somebody who gets notifications and nothing else, and who lets the site send some.

What is asked for is asked again until it is known what has become of it, as a task queue does it, with the same key. A
gap that is too wide to be resumed is filled with the list of notifications, which says what there is, but not in which
order it was sent.
"""

import asyncio
from collections.abc import Sequence

import httpx

from tests.chaos.account import Frame
from tests.chaos.client import Client
from tests.chaos.history import WAIT_SECONDS, History
from tests.chaos.people import Person

COMMITTED, TAKEN_BACK, UNKNOWN = 204, 409, 503
MOST_AT_ONCE = 3  # readers of one notification
TAKEN_BACK_SHARE = 0.2
REQUEST_SECONDS = 5.0


class Reader(Client):
    def __init__(
        self, number: int, readers: Sequence[Person], ports: Sequence[int], history: History, seed: int
    ) -> None:
        super().__init__(number, readers[number % len(readers)], ports, history, seed)
        self.rooms, self.streams = [], self.streams[:1]
        self.committed: dict[str, list[int]] = {}  # ids of readers by the key of what they are to get
        self._readers = readers
        self._asking: set[asyncio.Task[None]] = set()
        self._asked = 0

    async def write(self) -> None:
        """Let the site notify people until cancelled; then wait until it is known what has become of each."""
        async with httpx.AsyncClient(timeout=REQUEST_SECONDS, trust_env=False) as http:
            try:
                while True:
                    await asyncio.sleep(self._random.uniform(0.3, 2))
                    task = asyncio.get_running_loop().create_task(self._notify(http))
                    self._asking.add(task)
                    task.add_done_callback(self._asking.discard)
            finally:
                await asyncio.gather(*self._asking)

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
        outcome = UNKNOWN
        while outcome == UNKNOWN:
            outcome = await self._ask(http, wanted)
        if outcome == COMMITTED and not wanted["is_taken_back"]:
            self.committed[wanted["key"]] = wanted["readers"]
        elif outcome != TAKEN_BACK or not wanted["is_taken_back"]:
            self.account.violations.append(f"{wanted} was answered {outcome}")

    async def _ask(self, http: httpx.AsyncClient, wanted: Frame) -> int:
        try:
            port = self._random.choice(self._ports)
            status = (await http.post(f"http://127.0.0.1:{port}/chaos/notify", json=wanted)).status_code
        except httpx.TransportError:
            status = UNKNOWN
        if status == UNKNOWN:
            await asyncio.sleep(WAIT_SECONDS)
        return status

    async def _fill(self, stream: str, outcome: Frame) -> None:
        self.counts["recovered" if outcome["recovered"] else "gaps filled with the list"] += 1
        if not outcome["recovered"]:
            self.listed.update(await self._load(self._history.list_notifications(self.person)))
            self.account.skip_to(stream, outcome["seq"])
