"""An outgoing frame (pure): its bytes are made once and shared by all its sockets. Used by `delivery`.

Without permessage-deflate the bytes are the same for every socket.
"""

from collections.abc import Callable, Sequence
from copy import copy
from struct import Struct

# Turns a frame's JSON into that of a dialect; None if sockets with this dialect do not get the frame.
Translation = Callable[[bytes], bytes | None]

TEXT = 0x81  # the first byte of a whole frame with a text (RFC 6455 §5.2)
_short, _medium, _long = Struct("!BB").pack, Struct("!BBH").pack, Struct("!BBQ").pack


class Frame:
    """A JSON text on its way to sockets. `exclude` is the key of a user whose sockets do not get it.

    `droppable` frames (typing, presence) are dropped first when a socket is slow. On a socket that sends batches, a
    `prompt` frame sends the batch that it joins at once; an `alone` frame is sent by itself, after the waiting batch.
    """

    __slots__ = ("_translations", "_wire", "alone", "droppable", "exclude", "payload", "prompt", "seq")

    def __init__(
        self,
        payload: bytes,
        *,
        seq: int | None = None,
        exclude: str | None = None,
        droppable: bool = False,
        prompt: bool = False,
        alone: bool = False,
    ) -> None:
        self.payload = payload
        self.seq = seq  # of an event
        self.exclude = exclude
        self.droppable = droppable
        self.prompt = prompt
        self.alone = alone
        self._wire: bytes | None = None  # made on first use
        self._translations: dict[Translation, Frame | None] | None = None  # made on first use

    @property
    def wire(self) -> bytes:
        """The whole WebSocket frame, header included, for sockets of our own transport."""
        if self._wire is None:
            self._wire = _head(len(self.payload)) + self.payload
        return self._wire

    def translate(self, translation: Translation) -> "Frame | None":
        """The frame in a dialect, made once for all sockets with that dialect; None if they do not get it."""
        if self._translations is None:
            self._translations = {}
        if translation not in self._translations:
            payload = translation(self.payload)
            if payload is self.payload:
                # Not kept: a frame that refers to itself would stay in memory until the garbage collector runs.
                return self
            self._translations[translation] = None if payload is None else self._reword(payload)
        return self._translations[translation]

    def _reword(self, payload: bytes) -> "Frame":
        frame = copy(self)
        frame.payload, frame._wire, frame._translations = payload, None, None
        return frame


def _head(size: int) -> bytes:
    """The header of a frame that a server sends, with a text of `size` bytes."""
    if size < 126:
        return _short(TEXT, size)
    if size < 65_536:
        return _medium(TEXT, 126, size)
    return _long(TEXT, 127, size)


class Announcement(Frame):
    """A frame that tells who has come online or gone offline: the change number `version` of who is online.

    Clients count by such frames, so a socket does not get those that its count contains already.
    """

    __slots__ = ("version",)

    def __init__(self, payload: bytes, version: int, exclude: str | None = None) -> None:
        super().__init__(payload, exclude=exclude, droppable=True)
        self.version = version


def translate_all(frames: Sequence[Frame], translation: Translation) -> list[Frame]:
    """The frames in a dialect, without those that its sockets do not get."""
    return [said for frame in frames if (said := frame.translate(translation)) is not None]
