"""Topics that a site declares (pure): streams that users subscribe to, optionally filled by a function.

Site code declares them on import, in a module `topics.py` of any app. The sockets and the scheduler look them up.
"""

import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from realtime.protocol.frames import TopicValue, encode, is_frame, require_own, utc_now
from realtime.protocol.streams import split_stream, topic_stream

NAME_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")

Function = Callable[[], Any]  # may be asynchronous
# Takes a user id as in frames, returns whether the user may subscribe. May be asynchronous.
Allow = Callable[[Any], bool | Awaitable[bool]]
F = TypeVar("F", bound=Function)


@dataclass(frozen=True, slots=True)
class Topic:
    """One declaration. `function` and `every` (seconds) are both set or both None."""

    name: str
    durable: bool = False
    allow: Allow | None = None  # None for every user
    every: float | None = None
    function: Function | None = None
    recheck: bool = False  # whether `allow` is asked again while users are subscribed
    data: Any = None  # the type of its values, for clients; None if nothing is said about them

    @property
    def stream(self) -> str:
        return topic_stream(self.name)


_topics: dict[str, Topic] = {}


@overload
def topic(
    name: str,
    *,
    every: None = None,
    durable: bool = False,
    allow: Allow | None = None,
    recheck: bool = False,
    data: Any = None,
) -> None: ...
@overload
def topic(
    name: str,
    *,
    every: float,
    durable: bool = False,
    allow: Allow | None = None,
    recheck: bool = False,
    data: Any = None,
) -> Callable[[F], F]: ...
def topic(
    name: str,
    *,
    every: float | None = None,
    durable: bool = False,
    allow: Allow | None = None,
    recheck: bool = False,
    data: Any = None,
) -> Callable[[F], F] | None:
    """Declare a topic. With `every`, this is a decorator: the function's result is pushed every `every` seconds.

    The function is called in only one process, and only while somebody is subscribed in any process; `make_body`
    says what it may return. `allow(user_id)` says whether a user may subscribe. Both run on a database thread, of
    which the functions of all topics leave one free; either may instead be asynchronous. Values of a durable topic
    are stored as events and can be resumed. With `recheck`, `allow` is called again every AUTH_RECHECK_SECONDS for
    each user who is subscribed, and False ends the subscription. `data` is the type of the values, such as a
    `msgspec.Struct`: clients find it in the description of the sockets.
    Raises ValueError for a bad name or interval, and for a name that is already declared differently.
    """
    if not NAME_PATTERN.match(name):
        raise ValueError(f"{name!r} is no name of a topic: it is 1 to 64 of A-Z a-z 0-9 _ -.")
    if every is None:
        _declare(Topic(name, durable, allow, recheck=recheck, data=data))
        return None
    if not (every > 0 and math.isfinite(every)):
        raise ValueError(f"The topic {name!r} needs a number of seconds above 0, not {every!r}.")

    def declare(function: F) -> F:
        _declare(Topic(name, durable, allow, every, function, recheck, data))
        return function

    return declare


def _declare(topic: Topic) -> None:
    known = _topics.get(topic.name)
    if known is not None and _origin(known) != _origin(topic):
        raise ValueError(f"The topic {topic.name!r} is declared twice, and not in the same way.")
    _topics[topic.name] = topic


def _origin(topic: Topic) -> tuple[object, ...]:
    """What stays the same when a module is loaded again. Its functions do not: they are new objects then."""
    return topic.durable, topic.every, _path(topic.allow), _path(topic.function), topic.recheck


def _path(function: Callable[..., Any] | None) -> object:
    return getattr(function, "__module__", None), getattr(function, "__qualname__", function)


def find(name: str) -> Topic | None:
    """The topic of that name; None if it is not declared."""
    return _topics.get(name)


def find_stream(stream: str) -> Topic | None:
    """The topic that a stream belongs to; None for other kinds of streams and for topics that are not declared."""
    kind, name = split_stream(stream)
    return _topics.get(name) if kind == "topic" else None


def all_topics() -> list[Topic]:
    return list(_topics.values())


def timed() -> list[Topic]:
    """The topics that a function fills."""
    return [topic for topic in _topics.values() if topic.function is not None]


def rechecked() -> list[Topic]:
    """The topics whose subscribers are asked for their right again and again."""
    return [topic for topic in _topics.values() if topic.recheck]


def make_body(topic: Topic, result: Any) -> bytes:
    """The frame for what a function returned: a frame of the site is sent as it is, any other value becomes the
    `data` of a `topic` frame. Raises TypeError for a value that JSON cannot express, and ValueError for a frame with a
    key or a type that is reserved.
    """
    if is_frame(result):
        require_own(result)
        return encode(result)
    return encode(TopicValue(topic.name, result, utc_now()))
