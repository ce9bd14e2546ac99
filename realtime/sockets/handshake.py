"""The WebSocket consumer: handshake, authentication, greeting, reading. Routed by Channels, under any ASGI server.

Under our own server it hands the socket to a `SocketReader` and returns; under any other it awaits `receive`.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from channels.consumer import AsyncConsumer
from django.utils import translation
from django.utils.translation import gettext as _

from realtime.auth.credentials import SUBPROTOCOL, Credential, find_credential
from realtime.auth.identity import Identity, identify
from realtime.auth.origins import is_trusted
from realtime.conf import settings
from realtime.delivery.batches import BatchSink, parse_wish
from realtime.delivery.connection import Connection
from realtime.delivery.refusal_texts import language_of
from realtime.delivery.sinks import CLOSE_SECONDS, QueueSink, Sink, TransportSink, say_goodbye
from realtime.protocol import commands
from realtime.protocol.errors import CloseCode, Closed, Reason, Refused
from realtime.protocol.frames import VERSION, Ack, Connected, ConnectedData, encode, format_epoch, utc_now
from realtime.protocol.streams import SITE, user_stream
from realtime.recovery.sessions.store import Session
from realtime.server.scope_keys import EXTENSION, IS_STOPPING
from realtime.sockets import intake, succession
from realtime.sockets.crowding import make_room
from realtime.sockets.drain import come_back
from realtime.sockets.handlers import Work
from realtime.sockets.node import get_node
from realtime.sockets.reader import SocketReader
from realtime.sockets.recheck import confirm
from realtime.sockets.refusals import refuse_handshake, why_closed

if TYPE_CHECKING:
    from realtime.server.websocket import RealtimeProtocol

logger = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Gone(Exception):
    """The client disconnected during the handshake."""


class RealtimeConsumer(AsyncConsumer):  # type: ignore[misc]
    """`/api/v1/ws` (protocol §1). It has no channel of its own, because the hub has one for the whole process."""

    unknown_frames = 0  # received before the user is known
    sink: TransportSink | QueueSink  # set when the socket is accepted
    # The id of the first `auth` command, which is acknowledged after the greeting.
    auth_id: str | None = None
    names: list[str] | None = None  # the streams of `streams`; the hub and the socket share the texts
    is_counted = False  # in `node.opening`
    asked_at: float  # when the last look-up of the user began; a monotonic time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.receive, self.base_send = scope, receive, send
        self.node = get_node()
        self.may_read = asyncio.Event()
        self.may_read.set()
        message = await receive()
        if message["type"] != "websocket.connect":
            return
        origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1")
        if origin and not is_trusted(scope, origin):
            await refuse_handshake(scope, send, 403, Reason.ORIGIN_NOT_ALLOWED)
            return
        if len(self.node.hub.connections) + self.node.opening >= settings().max_connections:
            await refuse_handshake(scope, send, 503, Reason.SERVER_FULL)
            return
        await self.accept()
        await self.serve(trusted_page=bool(origin))

    async def accept(self) -> None:
        if (transport := self.find_transport()) is not None:
            transport.is_ours = True
        offered = self.scope.get("subprotocols") or ()
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in offered else None
        await self.base_send({"type": "websocket.accept", "subprotocol": subprotocol})

    def find_transport(self) -> "RealtimeProtocol | None":
        """The socket of our own server; None under any other."""
        transport: RealtimeProtocol | None = self.scope.get("extensions", {}).get(EXTENSION)
        return transport

    async def serve(self, *, trusted_page: bool) -> None:
        transport = self.find_transport()
        self.sink = TransportSink(transport) if transport is not None else QueueSink(self.base_send)
        if transport is None:
            self.node.signals.install()
        connection: Connection | None = None
        self.node.opening += 1
        self.is_counted = True
        try:
            if self.scope.get("state", {}).get(IS_STOPPING, bool)():
                self.node.drain.begin()
            self.node.drain.require_not_begun()
            identity = await self.authenticate(trusted_page)
            language = language_of(dict(self.scope["headers"]))
            connection = Connection(secrets.token_urlsafe(12), identity, self.wrap(self.sink), language)
            await self.admit(connection)
        except Gone:
            return
        except Exception as error:
            if connection is None:
                say_goodbye(self.sink, why_closed(error))
            else:
                connection.close(why_closed(error))
            await self.sink.drained()
            return
        finally:
            self.stop_counting()
        await self.run(connection, transport)

    def stop_counting(self) -> None:
        if self.is_counted:
            self.is_counted = False
            self.node.opening -= 1

    def pause_reading(self) -> None:
        self.may_read.clear()

    def resume_reading(self) -> None:
        self.may_read.set()

    def wrap(self, sink: Sink) -> Sink:
        query = parse_qs(self.scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        wish = parse_wish(query)
        return BatchSink(sink, wish) if wish is not None else sink

    async def admit(self, connection: Connection) -> None:
        """Raises Closed, DatabaseUnavailable."""
        # Checked again: a drain that has begun does not ask sockets to come back that register after it.
        self.node.drain.require_not_begun()
        connection.hold()
        make_room(self.node, connection.user_key)
        self.node.hub.register(connection)
        self.stop_counting()  # the hub counts it from now on
        try:
            # A control that passed after the look-up did not find this socket. From now on it would.
            await confirm(self.node.hub, self.node.checker, connection, self.asked_at)
            await self.enter(connection)
        except BaseException:
            # Not `node.leave`: presence has not counted this socket, and must not subtract it.
            self.node.hub.unregister(connection)
            raise

    async def enter(self, connection: Connection) -> None:
        """Note the streams of this kind of socket, and check the user's right to them. Raises as `admit` does."""
        # Every user has the right to these streams, so nothing has to be looked up.
        for stream in self.streams(connection):
            connection.subscriptions.ask(stream)

    def streams(self, connection: Connection) -> list[str]:
        """The streams that a socket is subscribed to from the beginning."""
        if self.names is None:
            self.names = [user_stream(connection.user_key), SITE]
        return self.names

    async def authenticate(self, trusted_page: bool) -> Identity:
        """Raises Closed, DatabaseUnavailable, Gone."""
        credential = find_credential(self.scope, trusted_page=trusted_page)
        identity = await self.identify(credential) if credential is not None else None
        if identity is None and "command" in settings().credentials:
            identity = await self.identify(await self.read_auth())
        if identity is None:
            raise Closed(CloseCode.UNAUTHENTICATED, "UNAUTHENTICATED")
        return identity

    async def identify(self, credential: Credential) -> Identity | None:
        self.asked_at = time.monotonic()
        return await identify(credential, self.node.loader)

    async def read_auth(self) -> Credential:
        """The token of the first `auth` command. Frames before it get no answer. Raises Closed, Gone."""
        # The second time only what has arrived: if this process stood still, that was in time.
        for seconds in (settings().auth_timeout_seconds, 0):
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    return await self.find_auth()
        raise Closed(CloseCode.UNAUTHENTICATED, "AUTH_TIMEOUT")

    async def find_auth(self) -> Credential:
        while True:
            command = await self.read_command()
            if isinstance(command, commands.Auth):
                self.auth_id = command.id
                return Credential("command", command.token)

    async def read_command(self) -> commands.Command | None:
        """Read one frame before the user is known; None for a frame that is not a command. Raises Closed, Gone."""
        message = await self.receive()
        if message["type"] == "websocket.disconnect":
            raise Gone
        self.unknown_frames += 1
        if self.unknown_frames > settings().bad_frames:
            raise Closed(CloseCode.BAD_FRAMES, "TOO_MANY_ERRORS")
        try:
            return intake.decode(message.get("text"))
        except commands.Invalid:
            return None

    async def run(self, connection: Connection, transport: "RealtimeProtocol | None") -> None:
        try:
            work = await self.open(connection)
            if transport is not None:
                self.hand_over(connection, transport, work)
                return
            await self.read(connection, work)
        except Exception as error:
            connection.close(why_closed(error))
        except BaseException:  # the server cancels the application, because it stops or the client has gone
            self.node.leave(connection)
            connection.close(come_back(has_others=self.node.drain.has_others))
            await connection.sink.drained()
            raise
        if transport is None or connection.closing:
            self.node.leave(connection)
            await connection.sink.drained()

    async def open(self, connection: Connection) -> Work | None:
        """Count the socket in presence, subscribe it and greet it. Returns the replay of its session, if it has one.

        Raises Refused.
        """
        hub = self.node.hub
        census = await self.node.tracker.arrive(connection.user_key)
        session_id = secrets.token_urlsafe(24)
        claimed = self.scope.get("url_route", {}).get("kwargs", {}).get("session_id")
        session = await succession.claim(self.node, connection, claimed, session_id)
        known = session.positions if isinstance(session, Session) else {}
        connection.subscriptions.positions.confirmed.update(known)
        # From now on the session may be saved, so not before its first positions are known.
        connection.session_id = session_id
        async with hub.open_feeds(self.streams(connection), connection) as feeds:
            positions = {feed.name: feed.position for feed in feeds}
            connection.greet(greet(connection, census.online_count, positions), census.version)
            if not census.version:
                hub.announcer.doubt(connection)
            for feed in feeds:
                # The streams of a session are subscribed to after their replay.
                if feed.name not in known:
                    hub.attach(connection, feed)
        self.node.clock.add(connection)
        if self.auth_id is not None:
            expires_at = format_epoch(connection.expires_at)
            connection.send(encode(Ack(status="ok", expires_at=expires_at, timestamp=utc_now(), id=self.auth_id)))
        if isinstance(session, Refused):
            connection.refuse(session)
        self.node.keeper.note(connection)
        return succession.resume(self.node, connection, claimed, known) if isinstance(session, Session) else None

    def hand_over(self, connection: Connection, transport: "RealtimeProtocol", work: Work | None) -> None:
        # The transport may have become full before it had a callback to report that.
        if transport.is_full():
            connection.on_pause(True)
        reader = SocketReader(self.node, connection, transport, work)
        transport.take_over(reader.on_frame, reader.on_lost, connection.on_pause, self.node.drain.begin)

    async def read(self, connection: Connection, work: Work | None) -> None:
        """Under other servers. It receives also while a command waits, or it would not notice that the client left."""
        sink = self.sink
        assert isinstance(sink, QueueSink)
        reader = SocketReader(self.node, connection, self, work)
        try:
            async with asyncio.timeout(CLOSE_SECONDS if connection.closing else None) as sink.deadline:
                while (message := await self.receive())["type"] != "websocket.disconnect":
                    reader.on_frame(message.get("text"))
                    await self.may_read.wait()
        except TimeoutError:
            pass
        finally:
            # The timeout has ended, and can no longer be rescheduled.
            sink.deadline = None
            reader.on_lost()
        connection.closing = True  # nothing can be sent any more


def greet(connection: Connection, online_count: int, streams: dict[str, int]) -> bytes:
    conf = settings()
    data = ConnectedData(
        message=welcome(connection.language) % {"name": connection.name},
        user_id=connection.user_id,
        online_count=online_count,
        connection_id=connection.id,
        session_id=connection.session_id,
        expires_at=format_epoch(connection.expires_at),
        heartbeat_seconds=conf.heartbeat_seconds,
        max_frame_bytes=conf.max_frame_bytes,
        typing_seconds=conf.typing_seconds,
        streams=streams,
        protocol=VERSION,
    )
    return encode(Connected(data))


@lru_cache
def welcome(language: str) -> str:
    with translation.override(language):
        return _("Welcome, %(name)s!")
