"""The commands `subscribe` and `unsubscribe` (L4): which sockets get a topic. Found by `commands` in its table."""

from typing import Any

from django.utils.translation import gettext as _

from realtime import decoding, protocol, topics
from realtime.access import may_subscribe
from realtime.connection import Connection
from realtime.errors import ErrorCode, Refused
from realtime.node import Node


async def on_subscribe(node: Node, connection: Connection, command: decoding.Subscribe) -> None:
    name, since = command.topic, command.since
    if not await may_subscribe(connection.user_id, name):
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such topic."))

    def greet(place: dict[str, Any]) -> None:
        connection.send(protocol.subscribed(command.id, name, **place))

    async with node.hub.open_feeds([topics.PREFIX + name]) as (feed,):
        if since is not None:
            await node.resumer.replay(connection, feed, since, lambda outcome: greet(outcome.as_json()))
        node.resumer.attach(connection, feed)
        if since is None:
            greet({"seq": feed.position})
        node.ticker.on_subscribed(connection, feed)
        node.keeper.note(connection)


def on_unsubscribe(node: Node, connection: Connection, command: decoding.Unsubscribe) -> None:
    stream = topics.PREFIX + command.topic
    if stream not in connection.streams:
        raise Refused(ErrorCode.NOT_FOUND, _("This socket is not subscribed to the topic."))
    node.hub.unsubscribe(connection, stream)
    node.keeper.note(connection)
    connection.send(protocol.unsubscribed(command.id, command.topic))
