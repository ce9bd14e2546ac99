"""Asks a store of presence that may be away or hang, without letting every caller wait. Called by what other apps ask.

A caller may be in the middle of a transaction, or have a thousand more questions. So a failure is remembered: until the
next attempt, everybody is refused at once, and one caller makes that attempt.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from realtime.presence.store import StoreUnavailable
from realtime.storage.tasks import time_limit

T = TypeVar("T")

PATIENCE_SECONDS = 1.0
RETRY_SECONDS = 5.0

# When the next attempt may be made, by event loop. Of those only whose last attempt has failed.
_away_until: WeakKeyDictionary[asyncio.AbstractEventLoop, float] = WeakKeyDictionary()


async def ask(question: Callable[[], Awaitable[T]]) -> T:
    """The answer to a question to a store of the running loop. Raises StoreUnavailable."""
    loop = asyncio.get_running_loop()
    if loop in _away_until:
        if loop.time() < _away_until[loop]:
            raise StoreUnavailable("It did not answer a moment ago")
        _away_until[loop] = loop.time() + RETRY_SECONDS  # nobody else waits meanwhile
    try:
        async with time_limit(PATIENCE_SECONDS):
            answer = await question()
    except (StoreUnavailable, TimeoutError) as error:
        _away_until[loop] = loop.time() + RETRY_SECONDS
        raise StoreUnavailable(str(error) or "It does not answer in time") from error
    _away_until.pop(loop, None)
    return answer
