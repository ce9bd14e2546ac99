"""What a process saves of its sessions, also when it stops in the middle of that."""

import asyncio

from realtime.recovery.sessions.keeper import Keeper
from realtime.recovery.sessions.memory import MemorySessions
from tests.paper import open_connection


class SlowSessions(MemorySessions):
    """Saves nothing before it may."""

    def __init__(self):
        super().__init__(life_seconds=60)
        self.begun, self.may_save = asyncio.Event(), asyncio.Event()

    async def save(self, sessions):
        self.begun.set()
        await self.may_save.wait()
        await super().save(sessions)


async def test_it_saves_again_what_was_being_saved_when_the_process_stops():
    """The clock of the process ends first, and it saves what is left afterwards."""
    store = SlowSessions()
    sessions = Keeper(store)
    connection, _ = open_connection()
    connection.session_id = "s-1"
    connection.subscriptions.positions.start("user.1", 7)
    sessions.note(connection)
    saving = asyncio.create_task(sessions.save())
    await store.begun.wait()
    saving.cancel()
    await asyncio.wait([saving])
    store.may_save.set()
    session = await sessions.claim("s-1", "1")
    assert session.positions == {"user.1": 7}


async def test_a_claim_does_not_overtake_what_is_being_saved():
    """It was answered that there is no such session, and the session was saved afterwards."""
    store = SlowSessions()
    sessions = Keeper(store)
    connection, _ = open_connection()
    connection.session_id = "s-1"
    connection.subscriptions.positions.start("user.1", 7)
    sessions.note(connection)
    saving = asyncio.create_task(sessions.save())
    await store.begun.wait()
    claiming = asyncio.create_task(sessions.claim("s-1", "1"))
    await asyncio.sleep(0)
    store.may_save.set()
    await saving
    assert (await claiming).positions == {"user.1": 7}
