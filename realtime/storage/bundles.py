"""Many events that wait for the same commit, as one row of the log (pure): each event is then written once, not twice.

Used by `pending`. PostgreSQL compresses such a row, because its events are much the same.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

# In place of the stream, in the row of a bundle. It is not the name of a stream.
BUNDLE = "bundle"
FEWEST = 100  # events; fewer are rows of their own
# Of one bundle, whose streams are all locked when its events get their numbers.
MOST, MOST_BYTES = 1_000, 1_048_576

Pending = tuple[str, bytes]  # the stream, and the frame's JSON

_decoder = msgspec.json.Decoder(list[tuple[str, msgspec.Raw]])


def pack(events: Sequence[Pending]) -> list[tuple[Pending, int]]:
    """The rows to write for these events, in the same order, and the weight of each: see `portions`."""
    if len(events) < FEWEST:
        return [(event, weigh(1, len(event[1]))) for event in events]
    return [((BUNDLE, _encode(part)), weigh(len(part), _measure(part))) for part in _parts(events)]


def unpack(stream: str, body: bytes) -> list[Pending]:
    """The events of a row."""
    if stream != BUNDLE:
        return [(stream, body)]
    return [(name, bytes(raw)) for name, raw in _decoder.decode(body)]


def leave_out(stream: str, body: bytes) -> bytes:
    """The body of a bundle without the events of this stream; empty if there are no others."""
    rest = [event for event in unpack(BUNDLE, body) if event[0] != stream]
    return _encode(rest) if rest else b""


def name_in_body(stream: str) -> str:
    """What each bundle with events of this stream contains. Others may contain it, too."""
    return msgspec.json.encode(stream).decode()


def portions(rows: Iterable[tuple[int, int]]) -> Iterator[list[int]]:
    """Divide rows, given by their keys and weights, so that each portion has as many events, or bytes, as a bundle."""
    portion: list[int] = []
    left = MOST
    for key, weight in rows:
        if portion and weight > left:
            yield portion
            portion, left = [], MOST
        portion.append(key)
        left -= weight
    if portion:
        yield portion


def weigh(count: int, size: int) -> int:
    """The weight of so many events, which have this size in bytes: their number, or more if they are large."""
    return max(count, size * MOST // MOST_BYTES)


def _measure(events: Sequence[Pending]) -> int:
    return sum(len(body) for _, body in events)


def _encode(events: Sequence[Pending]) -> bytes:
    return msgspec.json.encode([(stream, msgspec.Raw(body)) for stream, body in events])


def _parts(events: Sequence[Pending]) -> Iterator[list[Pending]]:
    part: list[Pending] = []
    size = 0
    for stream, body in events:
        if part and (len(part) == MOST or size + len(body) > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append((stream, body))
        size += len(body)
    if part:
        yield part
