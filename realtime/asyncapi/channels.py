"""The sockets of the description: their addresses, what clients may send on each, and what they get.

Called by `document`. Which commands a socket accepts, and which frames it gets, is decided in `protocol.dialects`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from realtime.asyncapi.contributions import Struct
from realtime.protocol import commands, frames
from realtime.protocol.dialects import ABOUT_NOTIFICATIONS, IN_ROOMS, RoomInput, RoomKindInput
from realtime.protocol.translations import ABOUT_CHAT, Accepted, RoomChat, RoomKind, RoomMessage

FRAMES: tuple[Struct, ...] = get_args(frames.AnyFrame)
COMMANDS: tuple[type[commands.Command], ...] = get_args(commands.AnyCommand)

# What answers a command, besides `error`. All others are answered with an `ack`.
ANSWERS: Mapping[Struct, Struct] = {
    commands.Ping: frames.Pong,
    commands.Join: frames.Joined,
    commands.Leave: frames.Left,
    commands.Subscribe: frames.Subscribed,
    commands.Unsubscribe: frames.Unsubscribed,
    commands.Resume: frames.Resumed,
}

ROOM_ID = {"room_id": "The `id` of a room."}
USER_ID = {"user_id": "The user's own id."}
SHARED: tuple[Struct, ...] = (
    *(frames.Connected, frames.Heartbeat, frames.AuthExpiring, frames.Disconnect, frames.Batch, frames.Pong),
    *(frames.Ack, frames.ErrorFrame, frames.Resumed),
)


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One kind of socket. `also` are the frames that other apps and the site add: whether this socket gets them."""

    key: str
    address: str
    title: str
    description: str
    commands: Sequence[Struct]
    frames: Sequence[Struct]
    also: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)


def name_of(struct: Struct) -> str:
    """The name of a frame or command in the document. Many commands have the name of the frame that repeats or answers
    them, so there they end in `Command`.
    """
    return f"{struct.__name__}Command" if issubclass(struct, commands.Command) else struct.__name__


def _pick(types: frozenset[str]) -> tuple[Struct, ...]:
    return tuple(command for command in COMMANDS if command.__struct_config__.tag in types)


SOCKET = Channel(
    key="socket",
    address="/api/v1/ws",
    title="The socket",
    description="All frames and commands. The first frame is `connected`, the last one `disconnect`.",
    commands=COMMANDS,
    frames=FRAMES,
    also=True,
)

CHANNELS = (
    SOCKET,
    Channel(
        key="session",
        address="/api/v1/ws/reconnect/{session_id}",
        title="A socket that continues",
        description="As `/api/v1/ws`. It takes up a session: what was missed follows `connected`, and then `resumed`.",
        commands=COMMANDS,
        frames=FRAMES,
        also=True,
        parameters={"session_id": "The `session_id` in the `connected` of the socket that has ended."},
    ),
    Channel(
        key="chatRoom",
        address="/api/v1/ws/chat/{room_id}",
        title="A room, with plain text",
        description=(
            "Opening it joins the room. A text that is no JSON object is sent as a message. The same socket is at"
            " `/ws/with_heartbeat/{room_id}` and `/ws/resilient/{room_id}`."
        ),
        commands=(RoomInput, *_pick(IN_ROOMS)),
        frames=(RoomMessage, Accepted, *SHARED),
        parameters=ROOM_ID,
    ),
    Channel(
        key="contentRoom",
        address="/api/v1/ws/chat/rooms/{room_id}",
        title="A room, with JSON",
        description="Opening it joins the room.",
        commands=(RoomInput, *_pick(IN_ROOMS)),
        frames=(RoomChat, *SHARED),
        parameters=ROOM_ID,
    ),
    Channel(
        key="kindRoom",
        address="/api/v1/ws/advanced/{room_id}",
        title="A room, with kinds of messages",
        description="Opening it joins the room. The `type` of a message is its kind.",
        commands=(RoomKindInput, *_pick(IN_ROOMS)),
        frames=(RoomKind, *SHARED),
        parameters=ROOM_ID,
    ),
    Channel(
        key="notes",
        address="/api/v1/ws/db/{user_id}",
        title="Notes to oneself",
        description="Messages from the user to the user. Nothing but answers is sent.",
        commands=(RoomInput, *_pick(IN_ROOMS)),
        frames=(Accepted, *SHARED),
        parameters=USER_ID,
    ),
    Channel(
        key="notifications",
        address="/api/v1/ws/notifications",
        title="Notifications alone",
        description="What concerns the user and the site, without chat, presence and rooms.",
        commands=_pick(ABOUT_NOTIFICATIONS),
        frames=tuple(frame for frame in FRAMES if frame.__struct_config__.tag not in ABOUT_CHAT),
        also=True,
    ),
)
