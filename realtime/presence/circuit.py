"""Asks a store of presence that may be away or hang, without letting every caller wait. Called by what other apps ask.

A caller may be in the middle of a transaction, or have a thousand more questions. So a failure is remembered: until the
next attempt, everybody is refused at once, and one caller makes that attempt.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar
from weakref import WeakKeyDictionary

from realtime.presence.store import StoreUnavailable
from realtime.storage.tasks import end_tasks

T = TypeVar("T")

PATIENCE_SECONDS = 1.0
RETRY_SECONDS = 5.0
PORTION = 1000  # users in one question

# When the next attempt may be made, by event loop. Of those only whose last attempt has failed.
_away_until: WeakKeyDictionary[asyncio.AbstractEventLoop, float] = WeakKeyDictionary()


async def ask(question: Callable[[], Awaitable[T]]) -> T:
    """The answer to a question to a store of the running loop. Raises StoreUnavailable."""
    loop = asyncio.get_running_loop()
    if loop in _away_until:
        if loop.time() < _away_until[loop]:
            raise StoreUnavailable("It did not answer a moment ago")
        _away_until[loop] = loop.time() + RETRY_SECONDS  # nobody else waits meanwhile
    asking = asyncio.ensure_future(question())
    try:
        # No time limit: if this process stood still, the answer and the end of the time come in the same turn.
        await asyncio.wait([asking], timeout=PATIENCE_SECONDS)
        if not asking.done():
            raise StoreUnavailable("It does not answer in time")
        answer = asking.result()
    except (StoreUnavailable, TimeoutError) as error:
        _away_until[loop] = loop.time() + RETRY_SECONDS
        raise StoreUnavailable(str(error) or "It does not answer in time") from error
    finally:
        await end_tasks([asking])
    _away_until.pop(loop, None)
    return answer


def split(user_keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """The users in portions, each for a question of its own: one about very many takes long, which is no outage."""
    for start in range(0, len(user_keys), PORTION):
        yield user_keys[start : start + PORTION]
