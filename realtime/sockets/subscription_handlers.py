"""What a socket gets (L4): `join` and `leave`, `subscribe` and `unsubscribe`. Found by `commands` in its table."""

from typing import Any

from realtime.auth.access import may_subscribe
from realtime.chat import rooms
from realtime.delivery.connection import Connection
from realtime.protocol import commands, topics
from realtime.protocol import frames as protocol
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.sockets.node import Node
from realtime.storage.database import run


async def on_join(node: Node, connection: Connection, command: commands.Join) -> None:
    slug = command.room_id
    if rooms.is_one_too_many(connection.rooms, slug):
        raise rooms.too_many()
    room = await enter(connection, slug)

    def greet(place: dict[str, Any]) -> None:
        connection.send(protocol.joined(command.id, slug, room.title, room.role, **place))

    async with node.hub.open_feeds([f"room.{slug}"]) as (feed,):
        if slug not in connection.rooms:
            raise rooms.not_found()  # removed in between
        if command.since is not None:
            await node.resumer.replay(connection, feed, command.since, lambda outcome: greet(outcome.as_json()))
        node.resumer.attach(connection, feed)
        if command.since is None:
            greet({"seq": feed.position})
        node.keeper.note(connection)


async def enter(connection: Connection, slug: str) -> rooms.Joined:
    """The room is noted before the rights are looked up: who is removed from then on takes the note away."""
    connection.rooms.setdefault(slug, 0)
    try:
        room = await run(rooms.join, connection.user_id, slug)
    except BaseException:
        if connection.rooms.get(slug) == 0:
            del connection.rooms[slug]
        raise
    if slug in connection.rooms:  # at once: 0 is no room to write to, should the feed not open
        connection.rooms[slug] = room.room
    return room


def on_leave(node: Node, connection: Connection, command: commands.Leave) -> None:
    slug = command.room_id
    if connection.rooms.pop(slug, None) is None:
        raise Refused(ErrorCode.NOT_FOUND, Reason.ROOM_NOT_JOINED)
    node.typists.stop(connection, slug)
    node.hub.unsubscribe(connection, f"room.{slug}")
    node.keeper.note(connection)
    connection.send(protocol.left(command.id, slug))


async def on_subscribe(node: Node, connection: Connection, command: commands.Subscribe) -> None:
    stream = topics.PREFIX + command.topic
    connection.wanted |= {stream}  # before the right is looked up: who is unsubscribed from then on is taken out
    try:
        if not await may_subscribe(connection.user_id, command.topic):
            raise no_topic()
        await _subscribe(node, connection, command, stream)
    finally:
        connection.wanted -= {stream}


async def _subscribe(node: Node, connection: Connection, command: commands.Subscribe, stream: str) -> None:
    since = command.since

    def greet(place: dict[str, Any]) -> None:
        connection.send(protocol.subscribed(command.id, command.topic, **place))

    async with node.hub.open_feeds([stream]) as (feed,):
        if stream not in connection.wanted:
            raise no_topic()
        if since is not None:
            await node.resumer.replay(connection, feed, since, lambda outcome: greet(outcome.as_json()))
        attached = node.resumer.attach(connection, feed)
        if since is None:
            greet({"seq": feed.position})
        if attached:
            node.ticker.on_subscribed(connection, feed)
        node.keeper.note(connection)


def no_topic() -> Refused:
    return Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_TOPIC)


def on_unsubscribe(node: Node, connection: Connection, command: commands.Unsubscribe) -> None:
    stream = topics.PREFIX + command.topic
    if stream not in connection.streams:
        raise Refused(ErrorCode.NOT_FOUND, Reason.NOT_SUBSCRIBED)
    node.hub.unsubscribe(connection, stream)
    node.keeper.note(connection)
    connection.send(protocol.unsubscribed(command.id, command.topic))
