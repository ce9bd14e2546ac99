"""The people who talk by themselves: clients like any other. Called by `performance` and the command `demo_traffic`."""

import asyncio
import contextlib
import itertools
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from secrets import token_hex
from typing import Any

from project.demo import script
from project.demo.people import VISITOR_NAMES
from project.demo.sockets import Line

logger = logging.getLogger(__name__)

Open = Callable[[str], Awaitable[Line]]
IsWanted = Callable[[], Awaitable[bool]]

TYPING_SHARE = 0.4  # of the pause before a line, its speaker is seen typing


class Actor:
    """One person with an open socket. `heard` gets what is said in the rooms."""

    def __init__(self, line: Line, heard: Callable[[dict[str, Any]], None]) -> None:
        self._line = line
        self._heard = heard
        self._greeted = asyncio.Event()  # nothing is sent before, as by any client
        self._answered = asyncio.Event()  # the last message
        self.is_open = True

    async def listen(self) -> None:
        """Returns when the socket is closed, and raises when it breaks. Nobody waits for an answer then."""
        try:
            async for text in self._line:
                await self._take(json.loads(text))
        finally:
            self.is_open = False
            self._greeted.set()
            self._answered.set()

    async def _take(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "connected":
                self._greeted.set()
            case "heartbeat":
                await self._send(type="pong")
            case "chat":
                self._heard(frame["data"])
            case "ack" | "error":
                self._answered.set()

    async def join(self, room: str) -> None:
        await self._send(type="join", room_id=room)

    async def type(self, room: str) -> None:
        await self._send(type="typing", data={"is_typing": True, "context": room})

    async def say(self, room: str, text: str) -> None:
        """Returns when the message is stored: a socket that closes before would take it along."""
        await self._send(type="typing", data={"is_typing": False, "context": room})
        if not self.is_open:
            return
        self._answered.clear()
        await self._line.send(json.dumps({"type": "message", "room_id": room, "message": text, "id": token_hex(8)}))
        await self._answered.wait()

    async def close(self) -> None:
        await self._line.close()

    async def _send(self, **frame: Any) -> None:
        await self._greeted.wait()
        if self.is_open:
            await self._line.send(json.dumps(frame))


class Company:
    """Some actors, and what they say next: an answer to a visitor, or the next line of the script."""

    def __init__(self, names: Sequence[str], open_line: Open, is_wanted: IsWanted, seconds: float) -> None:
        """`names` are their usernames, at least one. `seconds` is the average pause between two lines."""
        self._names = names
        self._open_line = open_line
        self._is_wanted = is_wanted
        self._seconds = seconds
        self._answers: list[script.Line] = []  # at most one, so that two visitors can talk to each other

    async def perform(self) -> None:
        """Talk until nobody wants it, or a socket was closed."""
        scenes = [line for line in script.SCENES if line.speaker in self._names]
        start = random.randrange(len(scenes))
        async with self._enter() as actors:
            for line in itertools.islice(itertools.cycle(scenes), start, None):
                if not await self._is_wanted() or not all(actor.is_open for actor in actors.values()):
                    return
                await self._speak(actors, self._answers.pop() if self._answers else line)

    async def _speak(self, actors: dict[str, Actor], line: script.Line) -> None:
        pause = self._seconds * random.uniform(0.5, 1.5)
        await asyncio.sleep(pause * (1 - TYPING_SHARE))
        await actors[line.speaker].type(line.room)
        await asyncio.sleep(pause * TYPING_SHARE)
        await actors[line.speaker].say(line.room, line.text)

    @contextlib.asynccontextmanager
    async def _enter(self) -> AsyncIterator[dict[str, Actor]]:
        actors: dict[str, Actor] = {}
        listening: list[asyncio.Task[None]] = []
        try:
            for name in self._names:
                # One of them listens for all.
                heard = self._note_message if not actors else ignore
                actors[name] = actor = Actor(await self._open_line(name), heard)
                listening.append(asyncio.create_task(actor.listen()))
                for room in sorted({line.room for line in script.SCENES}):
                    await actor.join(room)
            yield actors
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, *(actor.close() for actor in actors.values()), return_exceptions=True)

    def _note_message(self, data: dict[str, Any]) -> None:
        """Let somebody answer what a visitor has said in a room."""
        name = data["from_username"].split()[0]
        if data.get("room_id") and name.lower() in VISITOR_NAMES:
            text = random.choice(script.ANSWERS).format(name=name)
            self._answers = [script.Line(random.choice(self._names), data["room_id"], text)]


def ignore(data: dict[str, Any]) -> None:
    pass
