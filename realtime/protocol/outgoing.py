"""One frame on its way out, and what processes tell each other (pure). Used by the fabric.

A frame's bytes are made once and shared by all who get it: without permessage-deflate they are the same for everybody.
"""

from collections.abc import Callable, Sequence
from copy import copy

from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode

Tell = Callable[[bytes], bytes | None]  # a frame's JSON in the words of a dialect; None for what it has no words for


class Frame:
    """A JSON text on its way to sockets. `exclude` names a user whose sockets do not get it.

    `droppable` frames (typing, presence) are the first to go when a socket is slow. Where frames leave in batches,
    `prompt` ones take with them what has gathered, and `alone` ones come after it, in no batch.
    """

    __slots__ = ("_told", "_wire", "alone", "droppable", "exclude", "payload", "prompt", "seq")

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
        self._told: dict[Tell, Frame | None] | None = None  # what it became for sockets of other dialects

    @property
    def wire(self) -> bytes:
        """The whole WebSocket frame."""
        if self._wire is None:
            self._wire = WireFrame(Opcode.TEXT, self.payload).serialize(mask=False)
        return self._wire

    def told(self, tell: Tell) -> "Frame | None":
        """The frame as `tell` words it, made once for all sockets that have it so; None where it is not for them."""
        if self._told is None:
            self._told = {}
        if tell not in self._told:
            payload = tell(self.payload)
            if payload is self.payload:
                return self  # not kept: a frame that held itself would wait for the collector
            self._told[tell] = None if payload is None else self._reword(payload)
        return self._told[tell]

    def _reword(self, payload: bytes) -> "Frame":
        frame = copy(self)
        frame.payload, frame._wire, frame._told = payload, None, None
        return frame


def translate(frames: Sequence[Frame], tell: Tell) -> list[Frame]:
    """The frames in other words, without those that are not for such sockets."""
    return [told for frame in frames if (told := frame.told(tell)) is not None]
