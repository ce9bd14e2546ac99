"""Makes room for a user who has as many sockets as allowed: ends those that are dead. Called by the handshake.

A browser that has lost its network leaves sockets behind, which look open until they have missed their heartbeats. When
it comes back, its new sockets must not be refused because of them.
"""

import time

from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.delivery.registry import ANSWER_SECONDS
from realtime.protocol.errors import CloseCode, Closed
from realtime.sockets.node import Node


def make_room(node: Node, user_key: str) -> None:
    """If the user has no room for one more socket, end those that do not answer.

    If all may be alive, ask them: the new socket is refused, and when its client comes back, it is known who answered.
    """
    registry = node.hub.registry
    sockets = registry.users.get(user_key, set())
    if len(sockets) < settings().max_connections_per_user:
        return
    node.clock.excuse()
    now, asked_at = time.monotonic(), registry.asked_at.get(user_key)
    dead = [connection for connection in sockets if is_dead(connection, now, asked_at)]
    for connection in dead:
        connection.close(Closed(CloseCode.HEARTBEAT_TIMEOUT, "HEARTBEAT_TIMEOUT"))
        # At once: its transport waits for a peer that answers nothing.
        node.leave(connection)
    if not dead and (asked_at is None or now - asked_at >= ANSWER_SECONDS):
        registry.asked_at[user_key] = now
        node.clock.ask(sockets)


def is_dead(connection: Connection, now: float, asked_at: float | None) -> bool:
    """Whether the socket is being closed, or its client has not answered a heartbeat for ANSWER_SECONDS."""
    if connection.closing:
        return True
    if connection.held is not None:  # it has not been greeted yet, and gets no heartbeats
        return False
    was_asked = asked_at is not None and connection.heard_at < asked_at <= now - ANSWER_SECONDS
    return was_asked or now - connection.heard_at > settings().heartbeat_seconds + ANSWER_SECONDS
