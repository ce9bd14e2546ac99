"""The protocol of sockets for a single purpose (protocol §7). Extends `conversation`, and is as strict."""

from typing import Any, get_args

import msgspec

from notifications.frames import NotificationEvent
from realtime.protocol.frames import (
    Ack,
    AuthExpiring,
    Batch,
    Chat,
    Connected,
    ConnectedData,
    Disconnect,
    ErrorFrame,
    Heartbeat,
    Joined,
    Left,
    OnlineCount,
    Pong,
    Presence,
    Read,
    Resumed,
    RoomUpdated,
    Typing,
    UserStatus,
)
from realtime.protocol.translations import Accepted, RoomChat, RoomKind, RoomMessage
from tests.contract.conversation import Contract

Shared = Connected | Pong | Ack | ErrorFrame | Heartbeat | AuthExpiring | Disconnect | Resumed | Batch
AboutNotifications = Shared | Read | NotificationEvent
_in_text_room: msgspec.json.Decoder[Any] = msgspec.json.Decoder(RoomMessage | Shared)
_in_room: msgspec.json.Decoder[Any] = msgspec.json.Decoder(RoomChat | Shared)
_shared: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Shared)
_kind = msgspec.json.Decoder(RoomKind)
_accepted = msgspec.json.Decoder(Accepted)
_about_notifications: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AboutNotifications)
_any: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
ABOUT_CHAT = (Chat, Typing, Presence, UserStatus, OnlineCount, Joined, Left, RoomUpdated)
OTHERS = {str(frame.__struct_config__.tag) for frame in ABOUT_CHAT}
KNOWN = {str(frame.__struct_config__.tag) for frame in get_args(AboutNotifications)}


class TextRoomContract(Contract):
    """`/ws/chat/{room_id}`"""

    def decode(self, text: str | bytes) -> Any:
        return _in_text_room.decode(text) if "type" in _any.decode(text) else _accepted.decode(text)

    def check_streams(self, greeting: ConnectedData) -> None:
        assert [stream.partition(".")[0] for stream in greeting.streams] == ["room"]

    def check_other(self, frame: Any) -> None:
        if isinstance(frame, RoomMessage | RoomChat | RoomKind):
            stream = f"room.{frame.room_id}"
            assert self.positions is not None
            assert frame.seq > self.positions[stream], (frame, self.positions)
            self.positions[stream] = frame.seq


class RoomContract(TextRoomContract):
    """`/ws/chat/rooms/{room_id}`"""

    def decode(self, text: str | bytes) -> Any:
        return _in_room.decode(text)


class KindsContract(TextRoomContract):
    """`/ws/advanced/{room_id}`"""

    def decode(self, text: str | bytes) -> Any:
        return _kind.decode(text) if "content" in _any.decode(text) else _in_room.decode(text)


class NotesContract(TextRoomContract):
    """`/ws/db/{user_id}`: nothing but answers."""

    def decode(self, text: str | bytes) -> Any:
        return _shared.decode(text) if "type" in _any.decode(text) else _accepted.decode(text)

    def check_streams(self, greeting: ConnectedData) -> None:
        assert greeting.streams == {}


class NotificationsContract(Contract):
    """`/ws/notifications`: frames of the site are not checked, but frames about chat must not arrive."""

    def decode(self, text: str | bytes) -> Any:
        frame = _any.decode(text)
        assert frame["type"] not in OTHERS, frame
        return _about_notifications.decode(text) if frame["type"] in KNOWN else frame

    def check_other(self, frame: Any) -> None:
        if isinstance(frame, dict) and "stream" in frame:
            self._check_next(frame["stream"], frame["seq"])

    def _check_next(self, stream: str, seq: int) -> None:
        assert self.positions is not None
        # Not `+ 1`: the stream also has chat events, which this socket does not get.
        assert seq > self.positions[stream], (stream, seq, self.positions)
        self.positions[stream] = seq


def find_contract(path: str) -> Contract:
    """The contract of a socket at `path`."""
    path = path.removeprefix("/api/v1")
    if path.startswith("/ws/chat/rooms/"):
        return RoomContract()
    if path.startswith("/ws/advanced/"):
        return KindsContract()
    if path.startswith(("/ws/chat/", "/ws/with_heartbeat/", "/ws/resilient/")):
        return TextRoomContract()
    if path.startswith("/ws/db/"):
        return NotesContract()
    return NotificationsContract() if path.startswith("/ws/notifications") else Contract()
