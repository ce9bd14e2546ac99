"""Publications between processes: what is sent over the channel layer, packed as msgpack.

Made by the code that publishes, carried by the bus, and unpacked and delivered by the hub.
"""

import msgspec


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


class Control(msgspec.Struct, array_like=True, frozen=True):
    """An order to every process: `disconnect` or `unsubscribe` (the `verb`) its sockets of a user or of a login."""

    verb: str
    user: str | None = None
    login: str | None = None
    stream: str | None = None
    code: int = 0
    reason: str = ""
    # The primary key of the room whose subscriptions end; 0 for whatever has the stream's name.
    room: int = 0


class Envelope(msgspec.Struct, array_like=True):
    """One publication between processes. Those with a `beat`, which counts up, prove that the bus can be heard."""

    events: list[tuple[str, int, bytes]] = []
    passing: list[Passing] = []
    controls: list[Control] = []
    beat: int = 0

    def __bool__(self) -> bool:
        return bool(self.events or self.passing or self.controls or self.beat)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)


def pack(envelope: Envelope) -> bytes:
    return _encoder.encode(envelope)


def unpack(data: bytes) -> Envelope:
    return _decoder.decode(data)
