"""Consumers of the sockets for one purpose: a room, notifications or notes (protocol §7). Routed by `realtime.routing`.

A dialect translates what comes in and goes out. Everything else works as on `/api/v1/ws`.
"""

from collections.abc import Callable

from realtime.delivery.connection import Connection
from realtime.models import is_slug
from realtime.protocol import dialects
from realtime.protocol.dialects import Dialect
from realtime.protocol.errors import CloseCode, Closed, Refused
from realtime.protocol.streams import room_stream
from realtime.sockets import subscription_handlers
from realtime.sockets.handshake import RealtimeConsumer, Scope
from realtime.storage.database import DatabaseUnavailable


class RoomConsumer(RealtimeConsumer):
    """`/api/v1/ws/chat/{room_id}`, and the same under two other names.

    Opening the socket joins the room; it is refused if the user may not join it.
    """

    speak: Callable[[str], Dialect] = staticmethod(dialects.speak_text)

    async def enter(self, connection: Connection) -> None:
        slug = self.scope["url_route"]["kwargs"]["room_id"]
        if not is_slug(slug):
            raise forbidden()
        connection.dialect = self.speak(slug)
        connection.home = room_stream(slug)
        try:
            await subscription_handlers.enter(connection, slug)
        except DatabaseUnavailable:
            raise
        except Refused:
            raise forbidden() from None
        if connection.home not in connection.subscriptions:
            raise forbidden()  # the user was removed meanwhile

    def streams(self, connection: Connection) -> list[str]:
        return [connection.home]


class RoomContentConsumer(RoomConsumer):
    """`/api/v1/ws/chat/rooms/{room_id}`."""

    speak = staticmethod(dialects.speak_content)


class RoomKindsConsumer(RoomConsumer):
    """`/api/v1/ws/advanced/{room_id}`."""

    speak = staticmethod(dialects.speak_kinds)


class NotificationsConsumer(RealtimeConsumer):
    """`/api/v1/ws/notifications`, and `/ws/notifications/{user_id}` with the user's own id."""

    async def enter(self, connection: Connection) -> None:
        connection.dialect = dialects.NOTIFICATIONS
        require_own_id(self.scope, connection)
        await super().enter(connection)


class NotesConsumer(RealtimeConsumer):
    """`/api/v1/ws/db/{user_id}` with the user's own id: what is sent is stored as notes to oneself."""

    async def enter(self, connection: Connection) -> None:
        connection.dialect = dialects.NOTES
        require_own_id(self.scope, connection)

    def streams(self, connection: Connection) -> list[str]:
        """None: the socket gets nothing but answers."""
        return []


def require_own_id(scope: Scope, connection: Connection) -> None:
    """Raises Closed if the address names another user."""
    if scope["url_route"]["kwargs"].get("user_id", connection.user_key) != connection.user_key:
        raise forbidden()


def forbidden() -> Closed:
    return Closed(CloseCode.FORBIDDEN, "FORBIDDEN")
