"""What another app puts in the place of its events when these are replayed. Registered through `integration`.

An event of the stream `site` goes to everybody who comes back to it, however much later. What may only be said to those
who were there says so when it is replayed. Called by `resume`, on database threads.
"""

from collections.abc import Callable

# Gets the JSON of an event of the stream `site`, and returns what is sent instead: the same, or another frame.
Replacement = Callable[[bytes], bytes]

_replacements: list[Replacement] = []


def register_replay(function: Replacement) -> None:
    """Replace events of the stream `site` in replays. Call this in `AppConfig.ready()`; the last one is used."""
    _replacements[:] = [function]


def as_replayed(body: bytes) -> bytes:
    """What is sent of an event of the stream `site` to a socket that has missed it."""
    return _replacements[0](body) if _replacements else body
