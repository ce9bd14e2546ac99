"""A client of somebody who gets notifications and nothing else, reads and archives them, and lets the site send some.

What is asked for is asked again until it is known what has become of it, as a task queue does it, with the same key.
What has no key against repeats is asked for once, and it may never be known. A gap that is too wide to be resumed is
filled with the list of notifications, which says what there is, but not in which order their events were stored.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.chaos.account import Frame
from tests.chaos.badge import Badge
from tests.chaos.client import Client
from tests.chaos.groups import Call
from tests.chaos.history import WAIT_SECONDS, History
from tests.chaos.people import Person
from tests.chaos.road import now

DONE, COMMITTED, GONE, TAKEN_BACK, UNKNOWN = 200, 204, 404, 409, 503
MOST_AT_ONCE = 3  # readers of one notification
TAKEN_BACK_SHARE = 0.2
WITHDRAWN_SHARE = 0.1
WITHDRAWN = "withdrawn"
ACTS = ("read", "archive", "seen")
GROUPED_SHARE = 0.5
GROUPS = ("group-0", "group-1")
ACTORS = 5  # of the people who write; one is the last to be named, and others are named no more
NOBODY_SHARE = 0.2  # of what is grouped: it is counted without an actor
ONCE_SHARE = 0.3  # of what is grouped: it has no key against repeats
MOST_UNREAD = 60  # then many are archived at once, so that counts stay below what they end at
UNKNOWN_OUTCOME = "grouped, and nobody knows the outcome"
GROUPED = "grouped"
REQUEST_SECONDS = 5.0
LAST_TIMES = 3  # requests of each kind at the end


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
        self.grouped: dict[str, Call] = {}  # what went into groups, or may have, by key
        self.withdrawn: set[str] = set()  # keys
        self.acted: set[tuple[str, int]] = set()  # acts on notifications, by id
        self.acted_together: set[tuple[str, int]] = set()  # the same, with ids that may be gone
        self.lists: list[list[int]] = []  # ids of notifications, the newest first
        self.badge = Badge()
        self.counts_at_end: tuple[int, int] | None = None  # unread and unseen, as REST counts them
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
                    self._begin(self._notify_any(http))
                    if self.badge.unread.most > MOST_UNREAD:
                        self._begin(self._act_on_many(http, self._random.sample(self._known, MOST_UNREAD)))
                    elif self._known:
                        self._begin(self._act_on_any(http))
            finally:
                await self._end_together(http)

    async def _end_together(self, http: httpx.AsyncClient) -> None:
        """All readers are cancelled at one moment. What they do then is told of last, with counts of that moment."""
        for _ in range(LAST_TIMES):
            self._begin(self._notify_any(http))
            if self._known:
                self._begin(self._act_on_any(http))
        await asyncio.gather(*self._asking)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def flood(self, seconds: float) -> None:
        """It writes no messages."""

    def _notify_any(self, http: httpx.AsyncClient) -> Coroutine[Any, Any, None]:
        return self._notify_group(http) if self._random.random() < GROUPED_SHARE else self._notify(http)

    async def _notify(self, http: httpx.AsyncClient) -> None:
        wanted = self._choose(actor=None, group="", has_dedupe_key=True)
        begun = now()
        outcome, times = await self._ask(http, "chaos/notify", wanted)
        if self._is_committed(wanted, outcome):
            self.committed[wanted["key"]] = Notified(wanted["readers"], begun, now())
            await self._withdraw_some(http, wanted["key"], times)

    async def _notify_group(self, http: httpx.AsyncClient) -> None:
        person = self._random.choice(self._history.people[:ACTORS])
        wanted = self._choose(
            actor=None if self._random.random() < NOBODY_SHARE else person.id,
            group=self._random.choice(GROUPS),
            has_dedupe_key=self._random.random() >= ONCE_SHARE,
        )
        begun = now()
        outcome, times = await self._ask(http, "chaos/notify", wanted, is_once=not wanted["has_dedupe_key"])
        is_lost = outcome == UNKNOWN and not wanted["is_taken_back"]
        if not is_lost and not self._is_committed(wanted, outcome):
            return
        self.counts[UNKNOWN_OUTCOME if is_lost else GROUPED] += 1
        told = {name: wanted[name] for name in ("key", "readers", "group", "actor", "has_dedupe_key")}
        call = Call(**told, is_known=not is_lost, begun=begun, ended=float("inf") if is_lost else now())
        self.grouped[call.key] = call
        if call.has_dedupe_key:
            await self._withdraw_some(http, call.key, times)

    def _choose(self, **more: Any) -> Frame:
        self._asked += 1
        readers = self._random.sample(self._readers, self._random.randint(1, MOST_AT_ONCE))
        return {
            "key": f"{self.number}-{self._asked}",
            "readers": [reader.id for reader in readers],
            "is_taken_back": self._random.random() < TAKEN_BACK_SHARE,
            **more,
        }

    def _is_committed(self, wanted: Frame, outcome: int) -> bool:
        is_expected = outcome == (TAKEN_BACK if wanted["is_taken_back"] else COMMITTED)
        if not is_expected and (outcome != UNKNOWN or wanted["has_dedupe_key"]):
            self.account.violations.append(f"{wanted} was answered {outcome}")
        return outcome == COMMITTED

    async def _withdraw_some(self, http: httpx.AsyncClient, key: str, times: int) -> None:
        # Of several requests, one that nobody waits for any more may still be on its way.
        if times == 1 and self._random.random() < WITHDRAWN_SHARE:
            await self._withdraw(http, key)

    async def _withdraw(self, http: httpx.AsyncClient, key: str) -> None:
        self.withdrawn.add(key)
        outcome, _ = await self._ask(http, "chaos/withdraw", {"key": key})
        self.counts[WITHDRAWN] += 1
        if outcome != COMMITTED:
            self.account.violations.append(f"withdrawing {key} was answered {outcome}")

    def _act_on_any(self, http: httpx.AsyncClient) -> Coroutine[Any, Any, None]:
        return self._act(http, self._random.choice(ACTS), self._random.choice(self._known))

    async def _act(self, http: httpx.AsyncClient, act: str, id: int) -> None:
        outcome, _ = await self._ask(http, f"api/v1/notifications/{id}/{act}", {})
        if outcome == DONE:
            self.counts["acts"] += 1
            if act != "seen":  # a group that grows is unseen again
                self.acted.add((act, id))
        elif outcome == GONE:
            self.counts["acts on what was withdrawn"] += 1
            self.acted.add(("none", id))
        else:
            self.account.violations.append(f"{act} of {id} was answered {outcome}")

    async def _act_on_many(self, http: httpx.AsyncClient, ids: list[int]) -> None:
        outcome, _ = await self._ask(http, "api/v1/notifications/acts", {"act": "archive", "ids": ids})
        if outcome == DONE:
            self.counts["acts on many"] += 1
            self.acted_together.update(("archive", id) for id in ids)
        else:
            self.account.violations.append(f"archiving {ids} was answered {outcome}")

    async def _ask(
        self, http: httpx.AsyncClient, path: str, wanted: Frame, *, is_once: bool = False
    ) -> tuple[int, int]:
        """The status, and how often it took to ask until it was known; `is_once`: also if it is not known."""
        headers, times = {"Authorization": f"Bearer {self.person.token}"}, 0
        while True:
            times += 1
            address = f"http://127.0.0.1:{self._random.choice(self._ports)}/{path}"
            try:
                status = (await http.post(address, json=wanted, headers=headers)).status_code
            except httpx.TransportError:
                status = UNKNOWN
            if status != UNKNOWN or is_once:
                return status, times
            await asyncio.sleep(WAIT_SECONDS)

    def _on_event(self, frame: Frame) -> None:
        self.badge.take(frame)
        if frame["type"] == "notification":
            self._known.append(frame["data"]["id"])

    async def count(self) -> None:
        self.counts_at_end = await self._history.count_notifications(self.person)

    async def _fill(self, stream: str, outcome: Frame) -> None:
        self.counts["recovered" if outcome["recovered"] else "gaps filled with the list"] += 1
        if not outcome["recovered"]:
            pages = await self._load(self._history.list_notifications(self.person))
            items = [item for page in pages for item in page["notifications"]]
            self.badge.take_list(pages[0]["counts"], items, f"{datetime.now(UTC):%FT%T.%fZ}")
            self.lists.append([item["id"] for item in items])
            self.listed.update(self.lists[-1])
            self.account.skip_to(stream, outcome["seq"])
