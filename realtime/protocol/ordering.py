"""Events in order, each once (pure): what a process knows of one stream's sequence. Used by the hub's feeds."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Sequencer(Generic[T]):
    """Turns any loss, repetition and reordering of numbered items into 1, 2, 3 … once.

    `position` is the last number that was given out; None until it is known, and until then everything is held.
    """

    __slots__ = ("held", "position")

    def __init__(self, position: int | None = None) -> None:
        self.position = position
        self.held: dict[int, T] = {}  # came too early, by number

    def accept(self, seq: int, item: T) -> list[tuple[int, T]]:
        """Take one item; returns what may go out now, in order. Old and repeated ones give nothing."""
        position = self.position
        if position is not None:
            if seq <= position:
                return []
            if seq == position + 1 and not self.held:
                self.position = seq
                return [(seq, item)]
        self.held.setdefault(seq, item)
        return self._release()

    def start(self, position: int) -> list[tuple[int, T]]:
        """The position is known now: forget what is older, give out what follows it."""
        if self.position is None:
            self.position = position
            self.held = {seq: item for seq, item in self.held.items() if seq > position}
        return self._release()

    def gap(self) -> tuple[int, int] | None:
        """The first missing numbers as (first, last), or None when nothing is held back."""
        if self.position is None or not self.held:
            return None
        return self.position + 1, min(self.held) - 1

    def skip_to(self, position: int) -> list[tuple[int, T]]:
        """Give up on what is still missing up to and including `position`: the log no longer has it."""
        if self.position is None or position <= self.position:
            return []
        kept = [(seq, self.held.pop(seq)) for seq in sorted(self.held) if seq <= position]
        self.position = position
        return kept + self._release()

    def _release(self) -> list[tuple[int, T]]:
        ready: list[tuple[int, T]] = []
        if self.position is None:
            return ready
        while (item := self.held.pop(self.position + 1, None)) is not None:
            self.position += 1
            ready.append((self.position, item))
        return ready
