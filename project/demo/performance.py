"""The actors in a process of the server. Started by the topic `demo` while a visitor's page is subscribed to it."""

import asyncio
import logging
from secrets import token_hex

from project.demo import stage
from project.demo.actors import Company
from project.demo.people import ACTORS, find_active
from project.demo.sockets import open_local
from realtime.integration import run

logger = logging.getLogger(__name__)

LINE_SECONDS = 3.0  # between two lines, on average


class Performance:
    """At most one company in this process, and by its place in the cache one in the site."""

    def __init__(self) -> None:
        self._name = token_hex(8)
        self._task: asyncio.Task[None] | None = None
        self._has_people = True  # until their accounts were looked for in vain

    async def go_on(self) -> None:
        """A visitor is looking: let the actors go on, or begin."""
        if not self._has_people:
            return
        await run(stage.note_visitor)
        if (self._task is None or self._task.done()) and await run(stage.take_place, self._name):
            self._task = asyncio.create_task(self._perform())

    async def _perform(self) -> None:
        try:
            names = await run(find_active, ACTORS)
            self._has_people = bool(names)
            if names:
                await Company(names, open_local, self._is_wanted, LINE_SECONDS).perform()
            else:
                logger.warning("Nobody talks by themselves: run `load_demo`, and start the site again")
        except Exception:
            logger.exception("The people of the demo have stopped talking")
        finally:
            await run(stage.leave_place, self._name)

    async def _is_wanted(self) -> bool:
        return await run(stage.keep_place, self._name)


performance = Performance()
