"""The protocol of sockets for one purpose (protocol §7), as strict as `conversation` and on top of it."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from tests.contract.conversation import Contract
from tests.contract.frames import (
    Ack,
    AuthExpiring,
    Batch,
    Chat,
    Connected,
    ConnectedData,
    Data,
    Disconnect,
    ErrorFrame,
    Frame,
    Heartbeat,
    Id,
    Joined,
    Left,
    OnlineCount,
    Pong,
    Presence,
    Read,
    Resumed,
    Room,
    Seq,
    Text,
    Time,
    Typing,
    UserStatus,
)


class Said(Frame, tag="message"):
    """A message on `/ws/chat/{room_id}`."""

    content: Text
    timestamp: Time
    room_id: Room
    message_id: int
    sender: Text
    seq: Seq
    kind: Literal["image", "notification"] | UnsetType = UNSET


class SaidInRoom(Said, tag="chat"):
    """A message on `/ws/chat/rooms/{room_id}`: the same keys."""


class Accepted(Data):
    """What the sender of a message gets on `/ws/chat/{room_id}`; the only frame without a `type`."""

    status: Literal["ok"]
    message_id: int
    id: Id | UnsetType = UNSET


Shared = Connected | Pong | Ack | ErrorFrame | Heartbeat | AuthExpiring | Disconnect | Batch
_in_text_room: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Said | Shared)
_in_room: msgspec.json.Decoder[Any] = msgspec.json.Decoder(SaidInRoom | Shared)
_accepted = msgspec.json.Decoder(Accepted)
_about_notifications: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Shared | Read | Resumed)
_any: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
OTHERS = {str(frame.__struct_config__.tag) for frame in (Chat, Typing, Presence, UserStatus, OnlineCount, Joined, Left)}
KNOWN = {
    str(frame.__struct_config__.tag)
    for frame in (Connected, Pong, Ack, ErrorFrame, Heartbeat, AuthExpiring, Disconnect, Batch, Read, Resumed)
}


class TextRoomContract(Contract):
    """`/ws/chat/{room_id}`"""

    def decode(self, text: str | bytes) -> Any:
        return _in_text_room.decode(text) if "type" in _any.decode(text) else _accepted.decode(text)

    def check_streams(self, greeting: ConnectedData) -> None:
        assert [stream.partition(".")[0] for stream in greeting.streams] == ["room"]

    def check_other(self, frame: Any) -> None:
        if isinstance(frame, Said):
            stream = f"room.{frame.room_id}"
            assert self.positions is not None
            assert frame.seq > self.positions[stream], (frame, self.positions)
            self.positions[stream] = frame.seq


class RoomContract(TextRoomContract):
    """`/ws/chat/rooms/{room_id}`"""

    def decode(self, text: str | bytes) -> Any:
        return _in_room.decode(text)


class NotificationsContract(Contract):
    """`/ws/notifications`: what a site sends of its own passes unchecked, but not what is about chat."""

    def decode(self, text: str | bytes) -> Any:
        frame = _any.decode(text)
        assert frame["type"] not in OTHERS, frame
        return _about_notifications.decode(text) if frame["type"] in KNOWN else frame

    def check_other(self, frame: Any) -> None:
        if isinstance(frame, dict) and "stream" in frame:
            assert self.positions is not None
            assert frame["seq"] > self.positions[frame["stream"]], (frame, self.positions)
            self.positions[frame["stream"]] = frame["seq"]


def find_contract(path: str) -> Contract:
    """That of a socket at `path`."""
    path = path.removeprefix("/api/v1")
    if path.startswith("/ws/chat/rooms/"):
        return RoomContract()
    if path.startswith("/ws/chat/"):
        return TextRoomContract()
    return NotificationsContract() if path.startswith("/ws/notifications") else Contract()
