"""One frame on its way out (pure): its bytes, made once. Used by whatever delivers frames.

A frame's bytes are made once and shared by all who get it: without permessage-deflate they are the same for everybody.
"""

from collections.abc import Callable, Sequence
from copy import copy

from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode

Translation = Callable[
    [bytes], bytes | None
]  # a frame's JSON in the words of a dialect; None for what it has no words for


class Frame:
    """A JSON text on its way to sockets. `exclude` names a user whose sockets do not get it.

    `droppable` frames (typing, presence) are the first to go when a socket is slow. Where frames leave in batches,
    `prompt` ones take with them what has gathered, and `alone` ones come after it, in no batch.
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
        self._wire: bytes | None = None  # made when the first socket that takes bytes wants it
        self._translations: dict[Translation, Frame | None] | None = (
            None  # what it became for sockets of other dialects
        )

    @property
    def wire(self) -> bytes:
        """The whole WebSocket frame."""
        if self._wire is None:
            self._wire = WireFrame(Opcode.TEXT, self.payload).serialize(mask=False)
        return self._wire

    def translate(self, translation: Translation) -> "Frame | None":
        """The frame in other words, made once for all sockets that want it so; None where it is not for them."""
        if self._translations is None:
            self._translations = {}
        if translation not in self._translations:
            payload = translation(self.payload)
            if payload is self.payload:
                return self  # not kept: a frame that held itself would wait for the collector
            self._translations[translation] = None if payload is None else self._reword(payload)
        return self._translations[translation]

    def _reword(self, payload: bytes) -> "Frame":
        frame = copy(self)
        frame.payload, frame._wire, frame._translations = payload, None, None
        return frame


def translate_all(frames: Sequence[Frame], translation: Translation) -> list[Frame]:
    """The frames in other words, without those that are not for such sockets."""
    return [said for frame in frames if (said := frame.translate(translation)) is not None]
