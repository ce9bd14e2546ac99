"""Takes up an older session on a new socket: claims it, and replays its streams. Called by the handshake."""

from collections.abc import Mapping

from realtime.delivery.connection import Connection
from realtime.protocol.errors import Refused
from realtime.recovery.sessions.store import Session
from realtime.sockets.node import Node
from realtime.sockets.refusals import why_closed


async def claim(node: Node, connection: Connection, id: str | None, successor: str) -> Session | Refused | None:
    """The session that the new socket continues, or the reason why there is none; None if it asked for none."""
    if id is None:
        return None
    try:
        return await node.keeper.claim(id, connection.user_key, successor)
    except Refused as refusal:
        return refusal


async def resume(node: Node, connection: Connection, id: str, positions: Mapping[str, int]) -> None:
    """Replay the claimed session. If that is not possible now, close the socket: there is no command to answer.

    The client comes back then, and claims the session again.
    """
    try:
        await node.errands.run(connection, node.resumer.resume(connection, positions))
    except Exception as error:
        connection.close(why_closed(error))
        return
    if not connection.closing and connection.id in node.hub.connections:
        node.keeper.succeed(connection, id)
