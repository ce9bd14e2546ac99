"""What breaks when (pure): the same seed and length give the same plan. Within a minute everything has its turn."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

Action = Literal[
    "cut",
    "slow",
    "hang",
    "drop",
    "storm",
    "kill",
    "restart",
    "redis-empty",
    "redis-flush",
    "redis-hang",
    "redis-flood",
    "postgres",
]

WRITERS = 44  # clients that talk in rooms
READERS = 6  # clients that get notifications only
SERVERS = 3
QUIET_SECONDS = 3.0  # at the beginning, so that all are there to see it
SLOT_SECONDS = 4.6  # each has one outage, and a minute nearly always has slots for all kinds
FULL_SECONDS = 60.0  # a plan of that length has everything in it
LONGEST_SECONDS = 7.0  # of an outage: it reaches into the next slot
FLOOD_SECONDS = 3.0  # of a flood at least, so that all of it comes while Redis hangs
# Redis is away at the end, and before it comes back the last word has been said. What is lost then between processes
# has no successor that would betray it.
CLOSING_SECONDS = 4.0
SILENT_SECONDS = 1.5
OUTAGES: tuple[Action, ...] = (
    "kill",
    "postgres",
    "redis-empty",
    "storm",
    "redis-hang",
    "redis-flood",
    "restart",
    "redis-flush",
)
AGAIN: tuple[Action, ...] = ("kill", "postgres")  # have a second turn after each kind had one
ROAD_ACTIONS: tuple[Action, ...] = ("cut", "cut", "cut", "slow", "hang", "drop")
ROAD_ACTIONS_PER_SECOND = 1.5


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens. What it means is said where it is done (`breakage`)."""

    at: float  # seconds after the beginning
    action: Action
    target: int = 0  # the number of a client or a server
    seconds: float = 0.0  # how long it lasts
    amount: int = 0  # bytes that still pass before a cut, or milliseconds that a chunk is late
    upwards: bool = False  # whether the bytes are those to the server

    @property
    def end(self) -> float:
        return self.at + self.seconds

    @property
    def victim(self) -> str:
        """What is broken by it; one thing breaks in one way at a time."""
        kind = self.action.partition("-")[0]
        return f"server {self.target}" if kind in ("kill", "restart") else kind

    def __str__(self) -> str:
        parts = [f"{self.at:6.2f} s", f"{self.action} {self.target}"]
        parts += [f"for {self.seconds:.1f} s"] if self.seconds else []
        return " ".join(parts)


def make_plan(seed: int, seconds: float, clients: int = WRITERS + READERS) -> list[Step]:
    """The steps in their order; all of them are over after `seconds`."""
    random = Random(f"plan {seed}")
    closing = Step(seconds - CLOSING_SECONDS, "redis-empty", seconds=CLOSING_SECONDS)
    outages = list(_outages(random, closing.at - 1))
    # Of 17,000 plans of a minute, in one the kinds got so much in each other's way that one of them found no slot.
    while seconds >= FULL_SECONDS and not {step.action for step in outages}.issuperset(OUTAGES):
        outages = list(_outages(random, closing.at - 1))
    return sorted([*outages, closing, *_road_actions(random, seconds, clients)], key=lambda step: step.at)


def _outages(random: Random, seconds: float) -> Iterator[Step]:
    deck: list[Action] = []
    busy: dict[str, float] = {}  # until when each victim is broken
    slots = int((seconds - QUIET_SECONDS) / SLOT_SECONDS)
    for slot in range(slots):
        deck = deck or [*random.sample(OUTAGES, len(OUTAGES)), *random.sample(AGAIN, len(AGAIN))]
        begin = QUIET_SECONDS + slot * SLOT_SECONDS + random.uniform(0, 3)
        possible = (_outage(random, begin, action, seconds) for action in deck)
        step = next((step for step in possible if busy.get(step.victim, 0) < step.at), None)
        if step is not None:  # else the next slot goes on with the same deck
            deck.remove(step.action)
            busy[step.victim] = step.end + 1
            yield step


def _outage(random: Random, at: float, action: Action, seconds: float) -> Step:
    shortest = FLOOD_SECONDS if action == "redis-flood" else 0.3
    lasting = min(random.uniform(shortest, LONGEST_SECONDS), seconds - at)
    if action in ("storm", "redis-flush"):
        lasting = 0.0
    return Step(at, action, random.randrange(SERVERS), lasting)


def _road_actions(random: Random, seconds: float, clients: int) -> Iterator[Step]:
    for _ in range(int((seconds - QUIET_SECONDS) * ROAD_ACTIONS_PER_SECOND)):
        at, action = random.uniform(QUIET_SECONDS, seconds), random.choice(ROAD_ACTIONS)
        lasting = min(random.uniform(0.5, 6), seconds - at) if action in ("slow", "hang") else 0.0
        amount = random.randint(20, 400) if action == "slow" else random.choice((0, random.randint(1, 4000)))
        yield Step(at, action, random.randrange(clients), lasting, amount, random.random() < 0.3)
