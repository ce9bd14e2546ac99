"""What a process saves of its sessions, also when it stops in the middle, and when it gives up an old one."""

import asyncio
import contextlib

import pytest

from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.recovery.sessions.keeper import Keeper
from realtime.recovery.sessions.memory import MemorySessions
from realtime.recovery.sessions.store import Session, SessionsUnavailable
from tests.paper import open_connection
from tests.patience import PATIENCE_SECONDS


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
    session = await sessions.claim("s-1", "1", "s-2")
    assert session.positions == {"user.1": 7}


class Return:
    """A client that continues the session `old` on a new socket, whose session is `new`."""

    def __init__(self, unanswered=0):
        """`unanswered` heartbeats were sent before `resumed`."""
        self.store = MemorySessions(life_seconds=60)
        self.keeper = Keeper(self.store)
        self.connection, _ = open_connection()
        self._positions = self.connection.subscriptions.positions
        self._unanswered = unanswered

    async def begin(self):
        await self.store.save({"old": Session("1", {"user.1": 7})})
        await self.keeper.claim("old", "1", "new")
        self.connection.session_id = "new"
        self._positions.start("user.1", 7)
        for _ in range(self._unanswered):
            self._positions.note_heartbeat({"user.1": 7})
        self.keeper.succeed(self.connection, "old")

    def send_heartbeat(self):
        self._positions.note_heartbeat({"user.1": 7})

    def answer_heartbeat(self):
        """As the handler of `pong` does."""
        if self._positions.unanswered:
            self.keeper.on_answer(self.connection)
        self._positions.confirm()

    async def is_old_known(self):
        await self.keeper.save()
        with contextlib.suppress(Refused):
            return bool(await Keeper(self.store).claim("old", "1", "another"))
        return False


async def test_it_gives_the_old_session_up_when_a_later_heartbeat_is_answered():
    client = Return()
    await client.begin()
    client.send_heartbeat()
    client.answer_heartbeat()
    assert not await client.is_old_known()


@pytest.mark.parametrize("unanswered", [1, 3, 6])
async def test_the_answer_to_a_heartbeat_before_resumed_proves_nothing(unanswered):
    client = Return(unanswered)
    await client.begin()
    client.send_heartbeat()
    for _ in range(unanswered):
        client.answer_heartbeat()
    await client.keeper.save()
    assert client.keeper._over == {}
    assert client.store._kept["old"].session is not None
    client.answer_heartbeat()
    assert not await client.is_old_known()


async def test_a_pong_that_answers_no_heartbeat_proves_nothing():
    client = Return()
    await client.begin()
    client.answer_heartbeat()
    assert await client.is_old_known()


async def test_a_socket_that_closes_without_a_proof_leaves_the_old_session():
    client = Return()
    await client.begin()
    client.send_heartbeat()
    client.keeper.leave(client.connection)
    client.answer_heartbeat()
    assert await client.is_old_known()
    assert client.keeper._successions == {}


async def test_it_gives_up_later_what_it_could_not_give_up_now(monkeypatch):
    client = Return()
    await client.begin()
    client.send_heartbeat()
    client.answer_heartbeat()
    with monkeypatch.context() as patch:

        async def fail(successors):
            raise SessionsUnavailable

        patch.setattr(client.store, "give_up", fail)
        await client.keeper.save()
    assert client.keeper._over == {"old": "new"}
    assert not await client.is_old_known()


async def test_it_saves_nothing_of_a_socket_that_was_not_greeted():
    keeper = Keeper(MemorySessions(life_seconds=60))
    connection, _ = open_connection()
    keeper.leave(connection)
    assert keeper._changed == {}


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
    claiming = asyncio.create_task(sessions.claim("s-1", "1", "new"))
    await asyncio.sleep(0)
    store.may_save.set()
    await saving
    assert (await claiming).positions == {"user.1": 7}


class HangingSessions(MemorySessions):
    """Answers nothing for as long as a client of Redis waits."""

    async def save(self, sessions):
        await asyncio.sleep(600)
        raise SessionsUnavailable


async def test_claims_do_not_wait_for_each_other_while_the_store_hangs(monkeypatch):
    """Each waited for the savings of all that came before it."""
    monkeypatch.setattr("realtime.recovery.sessions.keeper.PATIENCE_SECONDS", 0.05)
    keeper = Keeper(HangingSessions(life_seconds=60))
    for number in range(50):
        connection, _ = open_connection()
        connection.session_id = f"s-{number}"
        keeper.note(connection)
    noted = dict(keeper._changed)
    async with asyncio.timeout(PATIENCE_SECONDS):
        claims = [keeper.claim(id, "1", "new") for id in noted]
        refusals = await asyncio.gather(*claims, return_exceptions=True)
    assert {(refusal.code, refusal.reason) for refusal in refusals} == {(ErrorCode.UNAVAILABLE, Reason.SESSIONS_AWAY)}
    assert keeper._changed == noted


async def test_it_keeps_the_last_sessions_while_the_store_is_away(monkeypatch):
    monkeypatch.setattr("realtime.recovery.sessions.keeper.MAX_CHANGED", 3)
    keeper = Keeper(MemorySessions(life_seconds=60))
    for number in range(5):
        connection, _ = open_connection()
        connection.session_id = f"s-{number}"
        keeper.leave(connection)
    assert list(keeper._changed) == ["s-2", "s-3", "s-4"]
