"""Publications between processes (delivery): what travels over the channel layer, packed as msgpack.

Made by whoever publishes, carried by the bus, and taken apart by the hub.
"""

import msgspec


class Passing(msgspec.Struct, array_like=True, frozen=True):
    """A frame that is not stored: to a stream, to some users, or (neither given) to everyone."""

    body: bytes
    stream: str | None = None
    users: tuple[str, ...] | None = None
    exclude: str | None = None  # a user who does not hear it
    announcement: bool = False  # counts against the limit of announcements
    droppable: bool = True
    except_connection: str | None = None  # of `users`' sockets, the one that does not hear it
    retained: bool = False  # kept as the newest of its stream, for who subscribes next


class Control(msgspec.Struct, array_like=True, frozen=True):
    """What every process does to its own sockets: `disconnect` or `unsubscribe` those of a user or of a login."""

    verb: str
    user: str | None = None
    login: str | None = None
    stream: str | None = None
    code: int = 0
    reason: str = ""


class Envelope(msgspec.Struct, array_like=True):
    """One publication between processes. `beat` counts up in the ones that prove that the bus is heard."""

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
