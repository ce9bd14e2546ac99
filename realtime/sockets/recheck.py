"""Rechecks the rights of open sockets, slowly and in batches, in case a revocation was lost.

Called by the node's clock. Revocations themselves are sent at once, as controls (`realtime.signals`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model

from realtime.auth import tokens
from realtime.auth.user_ids import read_id
from realtime.delivery.connection import Connection
from realtime.delivery.hub import Hub
from realtime.models import Membership
from realtime.protocol.errors import CloseCode, Closed
from realtime.protocol.streams import room_stream
from realtime.storage import database

CHUNK = 500  # sockets in one look-up


@dataclass(frozen=True, slots=True)
class Rights:
    """What the database says about some sockets."""

    active: set[str]  # keys of users
    revoked: set[str]  # logins
    members: set[tuple[str, int]]  # user keys, primary keys of rooms


async def recheck(hub: Hub) -> None:
    """Close sockets whose user or login is no longer valid, and revoke rooms that a user is no longer a member of."""
    connections = list(hub.connections.values())
    for start in range(0, len(connections), CHUNK):
        chunk = connections[start : start + CHUNK]
        # Copied before the look-up, which may not see rooms that are joined while it runs.
        rooms = [connection.subscriptions.rooms() for connection in chunk]
        rights = await database.run(look_up, chunk)
        for connection, joined in zip(chunk, rooms, strict=True):
            _enforce(hub, connection, joined, rights)


def _enforce(hub: Hub, connection: Connection, joined: Mapping[str, int], rights: Rights) -> None:
    if connection.user_key not in rights.active:
        connection.close(Closed(CloseCode.FORBIDDEN, "USER_DISABLED"))
    elif connection.login in rights.revoked:
        connection.close(Closed(CloseCode.UNAUTHENTICATED, "UNAUTHENTICATED"))
    else:
        for slug, room in joined.items():
            is_joined = connection.subscriptions.find_room(slug) == room
            if is_joined and (connection.user_key, room) not in rights.members:
                hub.revoke(connection, room_stream(slug))


def look_up(connections: Sequence[Connection]) -> Rights:
    """Synchronous, three queries."""
    pks: set[Any] = {read_id(connection.user_key) for connection in connections}
    users = get_user_model()._default_manager.filter(pk__in=pks, is_active=True)
    members = Membership.objects.filter(user_id__in=pks, room__direct=False).values_list("user_id", "room_id")
    sessions = {connection.login for connection in connections if connection.login}
    return Rights(
        {str(pk) for pk in users.values_list("pk", flat=True)},
        tokens.revoked(sessions),
        {(str(user), room) for user, room in members},
    )
