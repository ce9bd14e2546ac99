"""Puts the events of one stream in order, each once (pure). Used by the hub's feeds."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Sequencer(Generic[T]):
    """Gives out numbered items as 1, 2, 3 …, each once, whatever was lost, repeated or reordered on the way.

    `position` is the last number given out. It is None until it is known; until then every item is held.
    """

    __slots__ = ("held", "position")

    def __init__(self, position: int | None = None) -> None:
        self.position = position
        self.held: dict[int, T] = {}  # items that came early, by number

    def is_early(self, seq: int) -> bool:
        """Whether the item with this number would have to be held."""
        return self.position is None or seq > self.position + 1

    def accept(self, seq: int, item: T) -> list[tuple[int, T]]:
        """Take one item. Returns what can be given out now, in order; nothing for an old or repeated item."""
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
        """Set the position, if it is not known yet. Forgets older items; returns those that directly follow."""
        if self.position is None:
            self.position = position
            self.held = {seq: item for seq, item in self.held.items() if seq > position}
        return self._release()

    def gap(self) -> tuple[int, int] | None:
        """The first range of missing numbers as (first, last), or None when nothing is held."""
        if self.position is None or not self.held:
            return None
        return self.position + 1, min(self.held) - 1

    def skip_to(self, position: int) -> list[tuple[int, T]]:
        """Give up on all missing items up to and including `position`: the log no longer has them.

        Returns what can be given out now, in order.
        """
        if self.position is None or position <= self.position:
            return []
        kept = [(seq, self.held.pop(seq)) for seq in sorted(self.held) if seq <= position]
        self.position = position
        return kept + self._release()

    def restart(self, position: int) -> list[tuple[int, T]]:
        """Go on after `position`, without what came before it. Returns what directly follows."""
        self.position = None
        return self.start(position)

    def _release(self) -> list[tuple[int, T]]:
        ready: list[tuple[int, T]] = []
        if self.position is None:
            return ready
        while (item := self.held.pop(self.position + 1, None)) is not None:
            self.position += 1
            ready.append((self.position, item))
        return ready
