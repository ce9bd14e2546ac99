"""What waits to be sent to the other processes: a bounded number of bytes, taken in portions. Used by the bus.

Every process can read events from the log. So an event that has no place here, or that could not be sent at the first
attempt, leaves only its position: the number at which its stream stands.
"""

import logging
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from realtime.delivery.envelopes import Control, Envelope, Passing, SentEvent

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Value = TypeVar("Value")

# A process delivers a portion in one turn: half of what may wait for a socket by default, so that a client which keeps
# up is not closed. Redis disconnects a subscriber for whom more than 32 MiB are waiting, or more than 8 MiB for a
# minute (the default of its `client-output-buffer-limit`), and many processes may send at the same moment.
PORTION_BYTES = 524_288
# Of events that wait, and of frames that are not stored. The 10,000 notifications of one commit have room.
WAITING_BYTES = 16 * PORTION_BYTES
# Streams whose positions wait. Beyond it, one flag stands for all of them: compare every position with the log.
WAITING_POSITIONS = 20_000
# Different controls that wait. Beyond it, one control stands for all of them: every socket has to come back.
WAITING_CONTROLS = 50_000
# What an event or frame needs besides its body, and a whole control or position at most.
ITEM_BYTES = 100
SMALL_BYTES = 400

COME_BACK = Control("come_back")


class Run(NamedTuple):
    """Controls that wait, and what was published before them: so many events and frames since the process began."""

    events: int
    passing: int
    controls: dict[Control, None]


class Queue(Generic[Item]):
    """Items in order, and how many bytes they are."""

    __slots__ = ("_items", "_measure", "added", "bytes")

    def __init__(self, measure: Callable[[Item], int]) -> None:
        self._measure = measure
        self._items: deque[Item] = deque()
        self.bytes = 0
        self.added = 0  # items, since the beginning

    def add(self, item: Item) -> bool:
        """Returns False, and adds nothing, when there is no room."""
        size = self.bytes + self._measure(item)
        if size > WAITING_BYTES:
            return False
        self._items.append(item)
        self.bytes = size
        self.added += 1
        return True

    def take(self) -> Item:
        item = self._items.popleft()
        self.bytes -= self._measure(item)
        return item

    def take_all(self) -> list[Item]:
        if not self.bytes:
            return []
        taken = list(self._items)
        self._items.clear()
        self.bytes = 0
        return taken

    def take_until(self, number: int) -> list[Item]:
        """The items up to this one, as `added` counts them."""
        taken = self.added - len(self._items)
        return [self.take() for _ in range(number - taken)]

    def take_portion(self) -> list[Item]:
        """The first items that fit into a portion, at least one."""
        if self.bytes <= PORTION_BYTES:
            return self.take_all()
        rest, taken = self.bytes - PORTION_BYTES, [self.take()]
        while self._items and self.bytes - self._measure(self._items[0]) >= rest:
            taken.append(self.take())
        return taken


class Backlog:
    """What waits. Whoever sends takes a portion, and puts it back if it could not be sent."""

    def __init__(self) -> None:
        self._events: Queue[SentEvent] = Queue(_measure_event)
        self._passing: Queue[Passing] = Queue(_measure_passing)
        self._positions: dict[str, int] = {}  # by stream
        self._controls: dict[Control, None] = {}  # in order, each once
        # The same controls, in parts: what was published between two parts is sent between them.
        self._runs: deque[Run] = deque()
        self._compares = False  # stands for the positions, which were too many
        self._beat = 0

    @property
    def bytes(self) -> int:
        """How large it is, beat and flag aside."""
        small = len(self._positions) + len(self._controls)
        return self._events.bytes + self._passing.bytes + SMALL_BYTES * small

    def __bool__(self) -> bool:
        return bool(self.bytes or self._compares or self._beat)

    def add(self, envelope: Envelope) -> None:
        for event in envelope.events:
            # Where a position waits, the others have to read the log anyway.
            if event[0] in self._positions or not self._events.add(event):
                self._add_position(event[0], event[1])
        for passing in envelope.passing:
            self._add_passing(passing)
        self._add_small(envelope)

    def take(self) -> Envelope:
        """The next portion; from now on it does not wait any more."""
        portion = self._take_all() if self.bytes <= PORTION_BYTES else self._take_some()
        portion.beat, self._beat = self._beat, 0
        if not self._controls:
            portion.compares, self._compares = self._compares, False
        return portion

    def put_back(self, portion: Envelope) -> None:
        """The portion could not be sent: it is the first to wait again, and of all events only the positions are."""
        rest = [self._take_run() for _ in range(len(self._runs))]
        rest.append(Envelope(self._events.take_all(), self._passing.take_all()))
        for run in (portion, *rest):
            for stream, seq, _ in run.events:
                self._add_position(stream, seq)
            for passing in run.passing:
                self._add_passing(passing)
            self._add_small(run)

    def _take_all(self) -> Envelope:
        """What fits into a portion. A receiver obeys controls last, so what was published after some waits for them."""
        first = self._take_run() if self._runs else Envelope()
        if self._runs or (first.controls and (self._events.bytes or self._passing.bytes)):
            return first
        first.events += self._events.take_all()
        first.passing += self._passing.take_all()
        first.positions, self._positions = self._positions, {}
        return first

    def _take_run(self) -> Envelope:
        """The first controls, and what was published before them."""
        run = self._runs.popleft()
        for control in run.controls:
            del self._controls[control]
        return Envelope(self._events.take_until(run.events), self._passing.take_until(run.passing), list(run.controls))

    def _take_some(self) -> Envelope:
        """Of one kind only: first what must not wait for the rest, because a right has ended or a stream stands."""
        if self._controls:
            return Envelope(controls=self._take_controls())
        if self._positions:
            return Envelope(positions=_take_first(self._positions, PORTION_BYTES // SMALL_BYTES))
        if self._events.bytes:
            return Envelope(events=self._events.take_portion())
        return Envelope(passing=self._passing.take_portion())

    def _take_controls(self) -> list[Control]:
        """As many as fit into a portion."""
        taken: list[Control] = []
        while self._runs and (left := PORTION_BYTES // SMALL_BYTES - len(taken)):
            taken += _take_first(self._runs[0].controls, left)
            if not self._runs[0].controls:
                self._runs.popleft()
        for control in taken:
            del self._controls[control]
        return taken

    def _add_small(self, envelope: Envelope) -> None:
        for stream, seq in envelope.positions.items():
            self._add_position(stream, seq)
        self._add_controls(envelope.controls)
        self._compares = self._compares or envelope.compares
        self._beat = max(self._beat, envelope.beat)

    def _add_position(self, stream: str, seq: int) -> None:
        if self._compares:
            return
        self._positions[stream] = max(seq, self._positions.get(stream, 0))
        if len(self._positions) > WAITING_POSITIONS:
            self._positions, self._compares = {}, True

    def _add_passing(self, passing: Passing) -> None:
        """When there is no room, the oldest frame goes: a newer status or value matters more."""
        if (size := _measure_passing(passing)) > WAITING_BYTES:
            logger.warning("A frame of %s bytes that is not stored is too large for other processes", size)
            return
        while not self._passing.add(passing):
            self._passing.take()

    def _add_controls(self, controls: list[Control]) -> None:
        if not controls or COME_BACK in self._controls:
            return
        new = dict.fromkeys(control for control in controls if control not in self._controls)
        self._controls.update(new)
        if COME_BACK in self._controls or len(self._controls) > WAITING_CONTROLS:
            new = self._controls = {COME_BACK: None}
            self._runs.clear()
        place = self._events.added, self._passing.added
        if self._runs and self._runs[-1][:2] == place:
            self._runs[-1].controls.update(new)
        elif new:
            self._runs.append(Run(*place, dict(new)))


def _measure_event(event: SentEvent) -> int:
    return ITEM_BYTES + len(event[2])


def _measure_passing(passing: Passing) -> int:
    users = sum(len(user) + 2 for user in passing.users or ())
    return ITEM_BYTES + users + len(passing.body)


def _take_first(waiting: dict[Item, Value], most: int) -> dict[Item, Value]:
    """Remove the first ones."""
    first = list(islice(waiting, most))
    return {key: waiting.pop(key) for key in first}
