"""What a client loads by REST when a stream could not be recovered."""

import asyncio
from collections.abc import Sequence
from random import Random

import httpx

from tests.chaos.account import Frame
from tests.chaos.people import Person

ATTEMPTS = 12
WAIT_SECONDS = 0.5
PAGE = 100


class History:
    """Asks any server, again and again while they are away. `violations` are answers that no server may give."""

    def __init__(self, people: Sequence[Person], ports: Sequence[int], seed: int) -> None:
        self.people = people
        self.violations: list[str] = []
        self._ports = ports
        self._random = Random(f"history {seed}")
        self._http = httpx.AsyncClient(timeout=5, trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def fetch(self, person: Person, stream: str, address: str, *, until: int) -> list[Frame] | None:
        """The items of the stream up to `until`, or more; None when nobody answers.

        What two users wrote to each other is asked for pair by pair: together that is a user's stream.
        """
        if stream.startswith("room."):
            return await self._read_pages(person, address, until)
        items: list[Frame] = []
        for other in self.people:
            found = await self._read_pages(person, f"{address}&with={other.id}", until)
            if found is None:
                return None
            items += found
        return items

    async def list_notifications(self, person: Person) -> list[Frame] | None:
        """The pages of all of the person's notifications; None when nobody answers."""
        pages: list[Frame] = []
        path, following = f"/api/v1/notifications?box=all&limit={PAGE}", ""
        while following is not None:
            page = await self._ask(person, f"{path}&before={following}" if following else path)
            if page is None:
                return None
            pages.append(page)
            following = page["next"]
        return pages

    async def count_notifications(self, person: Person) -> tuple[int, int] | None:
        """How many are unread and unseen; None when nobody answers."""
        counts = await self._ask(person, "/api/v1/notifications/counts")
        return None if counts is None else (counts["unread"], counts["unseen"])

    async def _read_pages(self, person: Person, address: str, until: int) -> list[Frame] | None:
        items: list[Frame] = []
        following: int | None = read_after(address)
        rest = address.replace(f"after={following}", f"limit={PAGE}")
        while following is not None and following < until:
            page = await self._ask(person, f"{rest}&after={following}")
            if page is None:
                return None
            items += page["messages"]
            following = page["next_after"]
        return items

    async def _ask(self, person: Person, path: str) -> Frame | None:
        headers = {"Authorization": f"Bearer {person.token}"}
        for _ in range(ATTEMPTS):
            try:
                port = self._random.choice(self._ports)
                answer = await self._http.get(f"http://127.0.0.1:{port}{path}", headers=headers)
                if answer.status_code == 200:
                    page: Frame = answer.json()
                    return page
                if answer.status_code != 503:
                    self.violations.append(f"{path} was answered {answer.status_code}: {answer.text[:300]}")
            except httpx.TransportError:
                pass
            await asyncio.sleep(WAIT_SECONDS)
        return None


def read_after(address: str) -> int:
    """The position in an address that says what to fetch."""
    return int(httpx.URL(address).params["after"])
