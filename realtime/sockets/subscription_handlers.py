"""The handlers of `join`, `leave`, `subscribe` and `unsubscribe`. Listed in the table of `handlers`."""

from collections.abc import Coroutine
from typing import Any

from msgspec import UNSET, UnsetType

from realtime.auth.access import may_subscribe
from realtime.chat import rooms
from realtime.delivery.connection import Connection
from realtime.protocol import commands
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.frames import Joined, Left, Subscribed, Unsubscribed, encode, given
from realtime.protocol.streams import room_stream, topic_stream
from realtime.sockets.node import Node
from realtime.storage.database import run


async def on_join(node: Node, connection: Connection, command: commands.Join) -> None:
    slug = command.room_id
    if rooms.is_one_too_many(connection.subscriptions, slug):
        raise rooms.too_many()
    room = await enter(connection, slug)
    await node.errands.run(connection, _listen(node, connection, command, room))


async def _listen(node: Node, connection: Connection, command: commands.Join, room: rooms.Joined) -> None:
    slug = command.room_id

    def greet(seq: int, recovered: bool | UnsetType = UNSET, fetch: str | UnsetType = UNSET) -> None:
        frame = Joined(
            room_id=slug,
            title=room.title,
            role=room.role,
            recovered=recovered,
            seq=seq,
            fetch=fetch,
            id=given(command.id),
        )
        connection.send(encode(frame))

    async with node.hub.open_feeds([room_stream(slug)], connection) as (feed,):
        if feed.name not in connection.subscriptions:
            raise rooms.not_found()  # the membership ended meanwhile
        if command.since is not None:
            await node.resumer.replay(connection, feed, command.since, lambda it: greet(it.seq, it.recovered, it.fetch))
        node.hub.attach(connection, feed)
        if command.since is None:
            greet(feed.position)
        node.keeper.note(connection)


async def enter(connection: Connection, slug: str) -> rooms.Joined:
    """Join the room, and note on the socket the right to its stream. Raises Refused."""
    stream = room_stream(slug)
    connection.subscriptions.ask(stream)
    try:
        room = await run(rooms.join, connection.user_id, slug)
        connection.subscriptions.grant(stream, room.room)
    finally:
        connection.subscriptions.withdraw(stream)
    return room


def on_leave(node: Node, connection: Connection, command: commands.Leave) -> None:
    slug = command.room_id
    if not node.hub.unsubscribe(connection, room_stream(slug)):
        raise Refused(ErrorCode.NOT_FOUND, Reason.ROOM_NOT_JOINED)
    node.typing.stop(connection, slug)
    node.keeper.note(connection)
    connection.send(encode(Left(slug, id=given(command.id))))


def on_subscribe(node: Node, connection: Connection, command: commands.Subscribe) -> Coroutine[Any, Any, None]:
    return node.errands.run(connection, _subscribe(node, connection, command))


async def _subscribe(node: Node, connection: Connection, command: commands.Subscribe) -> None:
    stream = topic_stream(command.topic)
    connection.subscriptions.ask(stream)
    try:
        if not await may_subscribe(connection.user_id, command.topic):
            raise no_topic()
        await _follow(node, connection, command, stream)
    finally:
        connection.subscriptions.withdraw(stream)


async def _follow(node: Node, connection: Connection, command: commands.Subscribe, stream: str) -> None:
    since = command.since

    def greet(seq: int, recovered: bool | UnsetType = UNSET) -> None:
        frame = Subscribed(topic=command.topic, recovered=recovered, seq=seq, id=given(command.id))
        connection.send(encode(frame))

    async with node.hub.open_feeds([stream]) as (feed,):
        if stream not in connection.subscriptions:
            raise no_topic()
        if since is not None:
            await node.resumer.replay(connection, feed, since, lambda it: greet(it.seq, it.recovered))
        attached = node.hub.attach(connection, feed)
        if since is None:
            greet(feed.position)
        if attached:
            node.scheduler.on_subscribed(connection, feed)
        node.keeper.note(connection)


def no_topic() -> Refused:
    return Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_TOPIC)


def on_unsubscribe(node: Node, connection: Connection, command: commands.Unsubscribe) -> None:
    if not node.hub.unsubscribe(connection, topic_stream(command.topic)):
        raise Refused(ErrorCode.NOT_FOUND, Reason.NOT_SUBSCRIBED)
    node.keeper.note(connection)
    connection.send(encode(Unsubscribed(command.topic, id=given(command.id))))
