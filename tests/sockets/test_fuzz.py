"""Any sequence of frames: the answers keep the protocol, and a socket beside it notices nothing."""

import json
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from realtime.chat import rooms
from tests.clients.raw_peer import connect_raw
from tests.clients.socket import Ended
from tests.contract.wrong_commands import VALID
from tests.sites.in_process import TcpServer

pytestmark = pytest.mark.django_db(transaction=True)
many_times = settings(
    max_examples=50,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # what fails often fails by a timeout, which is slow to shrink
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

words = st.text(max_size=30) | st.sampled_from(["general", "secret", "alice", "\0", "\ud800", "x" * 70, "y" * 11_000])
numbers = st.integers() | st.floats() | st.sampled_from([2**63, -(2**63), 2**64, 10**40])
values = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
HARMLESS = [name for name in VALID if name != "auth"]  # a bad token ends a socket
fields = st.sampled_from([*{name for fields in VALID.values() for name in fields}, "id", "type", "to_user_id", "more"])


@st.composite
def commands(draw):
    """Valid commands with a few fields replaced, added or taken away."""
    name = draw(
        st.sampled_from([*VALID, "auth"] if draw(st.booleans()) else [name for name in VALID if name != "auth"])
    )
    command = {"type": name, **VALID[name]}
    for field, value in draw(st.dictionaries(fields, values, max_size=3)).items():
        command[field] = value
    for field in draw(st.lists(fields, max_size=2)) if draw(st.booleans()) else ():
        command.pop(field, None)
    return command


@st.composite
def torn(draw):
    """A frame's text with a part cut out and another put in."""
    text = json.dumps(draw(commands() | values), ensure_ascii=draw(st.booleans()))
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    return text[:start] + draw(st.text(max_size=3)) + text[end:]


def sendable(frame):
    """As a client could put it on the wire: no lone surrogates outside of escapes."""
    if isinstance(frame, bytes):
        return frame
    text = frame if isinstance(frame, str) else json.dumps(frame)
    return text.encode(errors="replace").decode()


frames = st.lists(commands() | commands() | values | torn() | st.text() | st.binary(), max_size=12)


@pytest.fixture
def places(alice, bob):
    rooms.create_room(bob.pk, title="General", slug="general")
    rooms.add_member(bob.pk, "general", alice.pk)
    rooms.create_room(bob.pk, title="Secret", slug="secret", private=True)


@pytest.fixture
async def beside(site, bob, places, configure):
    """A socket that must not notice anything, in the room that the others write to."""
    configure(COMMANDS_BURST=10**9)
    socket = await site.connect(bob)
    await socket.ask("join", room_id="general")
    return socket


async def check_undisturbed(beside):
    """It gets its pong, and its room's messages in order, which is checked with every frame."""
    id = uuid4().hex
    await beside.send({"type": "message", "id": id, "room_id": "general", "message": "undisturbed"})
    frame = await beside.find("chat", client_id=id)
    assert (await beside.find("ack", id=id))["seq"] == frame["seq"]
    await beside.settle()


@many_times
@given(frames=frames)
async def test_it_keeps_the_protocol_whatever_it_is_sent(site, alice, beside, frames):
    socket = await site.connect(alice)
    socket.contract.may_go_back = True
    for frame in frames:
        await socket.send(sendable(frame))
    try:
        await socket.settle()
    except Ended:
        """Every frame and the code have been checked."""
    await socket.close()
    await check_undisturbed(beside)


@many_times
@given(frames=frames)
async def test_it_says_nothing_to_strangers(site, beside, frames):
    socket = await site.knock()
    for frame in frames:
        await socket.send(sendable(frame))
    await socket.send({"type": "auth", "token": "bad"})
    assert (await socket.ending()).code in (1009, 4400, 4401)
    assert socket.contract.positions is None
    await check_undisturbed(beside)


@pytest.mark.parametrize("site", [TcpServer], indirect=True, ids=["direct"])
@many_times
@given(data=st.lists(st.binary(max_size=40), max_size=5))
async def test_it_keeps_the_protocol_whatever_comes_over_tcp(site, alice, beside, data):
    peer = await connect_raw(site, alice)
    for part in data:
        peer.send(part)
    peer.writer.write_eof()
    try:
        while True:
            await peer.receive()
    except EOFError:
        """The server has closed; every text has been checked."""
    await check_undisturbed(beside)
