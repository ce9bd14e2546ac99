"""Publishing in tests: numbered frames, transactions that are taken back, and what became of both."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import transaction

import realtime
from realtime.delivery.envelopes import Envelope
from realtime.models import Event


class Undo(Exception):
    """Ends a block that is to be rolled back."""


@contextmanager
def undone() -> Iterator[None]:
    with suppress(Undo), transaction.atomic():
        yield
        raise Undo


def say(number: int, stream: str = "site", durable: bool = True) -> None:
    realtime.publish(stream, {"type": "test", "n": number}, durable)


def numbers(envelopes: list[Envelope]) -> list[list[int]]:
    """In the order in which they were sent."""
    bodies = [[body for _, _, body in e.events] + [passing.body for passing in e.passing] for e in envelopes]
    return [[json.loads(body)["n"] for body in some] for some in bodies]


def stored(stream: str = "site") -> list[tuple[int | None, int]]:
    events = Event.objects.filter(stream=stream).order_by("seq")
    return [(event.seq, json.loads(event.body)["n"]) for event in events]
