"""Publications between processes: what is sent over the channel layer, packed as msgpack.

Made by the code that publishes, carried by the bus, and unpacked and delivered by the hub.
"""

import secrets

import msgspec

from realtime.conf import settings

# The stream, the `seq`, and the frame's JSON without both.
SentEvent = tuple[str, int, bytes]


class Passing(msgspec.Struct, array_like=True, frozen=True):
    """A frame that is not stored. It goes to a stream, to some users, or (if neither is given) to everyone."""

    body: bytes
    stream: str | None = None
    users: tuple[str, ...] | None = None
    exclude: str | None = None  # a user who does not get it
    announcement: bool = False  # counts against the limit of announcements
    droppable: bool = True
    # The one socket of `users` that does not get it, by its connection id.
    except_connection: str | None = None
    # Kept as the newest value of its stream, for sockets that subscribe later.
    retained: bool = False
    # The primary key of the room that the stream belonged to; 0 if it does not matter.
    room: int = 0
    # The number of the change of who is online that it tells, or of the last one in the count that it tells; 0 if it
    # tells neither.
    version: int = 0
    # No other frame has it. What is sent again, because the layer did not answer, is delivered once; 0 if it may come
    # twice.
    id: int = 0


class Control(msgspec.Struct, array_like=True, frozen=True):
    """An order to every process: `disconnect` or `unsubscribe` (the `verb`) its sockets of a user or of a login.

    `come_back` names nobody: all sockets are closed and have to open again, which looks up all their rights. `status`
    ends nothing: the status of a user has changed.
    """

    verb: str
    user: str | None = None
    login: str | None = None
    stream: str | None = None
    code: int = 0
    reason: str = ""
    # The primary key of the room whose subscriptions end; 0 for whatever has the stream's name.
    room: int = 0
    # Of the sockets of a `user`, only those whose token does not name its login and was issued until then; 0 for all.
    issued_until: int = 0


class Envelope(msgspec.Struct, array_like=True):
    """One publication between processes. Those with a `beat`, which counts up, prove that the bus can be heard."""

    events: list[SentEvent] = []
    passing: list[Passing] = []
    controls: list[Control] = []
    beat: int = 0
    # Where streams stand whose events are to be read from the log.
    positions: dict[str, int] = {}
    # The same for every stream: all positions are to be compared with the log.
    compares: bool = False


def new_id() -> int:
    """Not from `random`, whose state forked processes have in common."""
    return secrets.randbits(63) or 1


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)


def pack(envelope: Envelope) -> bytes:
    return _encoder.encode(envelope)


def unpack(data: bytes) -> Envelope:
    return _decoder.decode(data)


def require_sendable(body: bytes) -> bytes:
    """Returns `body`. Raises ValueError for a frame that is larger than what may wait for one socket."""
    limit = settings().max_queued_bytes
    if len(body) > limit:
        raise ValueError(f"A frame of {len(body)} bytes is too large: at most {limit} (MAX_QUEUED_BYTES) can be sent.")
    return body
