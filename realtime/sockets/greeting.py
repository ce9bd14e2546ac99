"""The first frame of a socket, in the language of its client. Called by the consumers."""

from functools import lru_cache

from django.utils import translation
from django.utils.translation import gettext as _

from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.protocol.frames import VERSION, Connected, ConnectedData, encode, format_epoch


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
