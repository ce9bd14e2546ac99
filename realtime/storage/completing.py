"""Frames that other apps complete when they get their number, with what only then is certain.

Called by `log` in the transaction that has locked the streams: whatever it reads includes all that was committed
before, and what is committed later has later numbers.
"""

import logging
from collections.abc import Callable, Iterable, Sequence

from realtime.storage.routed import connection
from realtime.storage.transactions import own_transaction

logger = logging.getLogger(__name__)

# Gets pairs of a stream and a frame's JSON, and returns that JSON as it is to be stored and sent, in the same order.
Completion = Callable[[Sequence[tuple[str, bytes]]], Sequence[bytes]]

_completions: dict[bytes, Completion] = {}  # by what the JSON of a frame of this type begins with


def register_completion(types: Iterable[str], complete: Completion) -> None:
    """Let `complete` complete the frames of these types that are published in a transaction.

    Call this in `AppConfig.ready()`. It must be quick, because the streams are locked, and must not change the `type`.
    If it raises, the error is logged, and the frames are sent as they were published.
    """
    for name in types:
        _completions[f'{{"type":"{name}",'.encode()] = complete


def complete(bodies: Sequence[tuple[str, bytes]]) -> list[bytes]:
    """The JSON of these frames; of those that nobody completes, the same object."""
    found = [body for _, body in bodies]
    wanted: dict[Completion, list[int]] = {}
    beginnings = tuple(_completions)
    for place, body in enumerate(found):
        if body.startswith(beginnings):
            beginning = body[: body.index(b",") + 1]
            wanted.setdefault(_completions[beginning], []).append(place)
    for completion, places in wanted.items():
        for place, new in zip(places, _try(completion, [bodies[place] for place in places]), strict=True):
            found[place] = new
    return found


def _try(completion: Completion, bodies: Sequence[tuple[str, bytes]]) -> Sequence[bytes]:
    """Without this, one error would keep all events of the transaction from getting numbers, and each sweep as well."""
    has_savepoint = False
    try:
        # After an error of a query PostgreSQL goes on only from a savepoint.
        with own_transaction():
            has_savepoint = True
            completed = completion(bodies)
            if len(completed) != len(bodies):
                raise ValueError(f"There are {len(completed)} frames instead of {len(bodies)}.")
            return completed
    except Exception:
        if connection.needs_rollback or not has_savepoint:  # the connection is gone
            raise
        logger.exception("Frames are sent as they were published, because they could not be completed")
        return [body for _, body in bodies]
