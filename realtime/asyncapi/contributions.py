"""What other apps, and the site, add to the description of the sockets.

An app registers a function when it is loaded (through `realtime.integration`). It is called for each description, so
it sees what the site has declared by then.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

Example = Mapping[str, Any]
Struct = type[msgspec.Struct]


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """`union` is the name of the union of the frames, and `about` says what they are about."""

    union: str = ""
    about: str = ""
    frames: Sequence[Struct] = ()
    # Examples of the frames, by their type.
    examples: Mapping[str, Sequence[Example]] = field(default_factory=dict)
    # Types that are in no frame but that clients need, such as those that lists over REST answer with.
    shapes: Sequence[Struct] = ()
    # Types that are used in several places: their names, each with the type and what it means.
    aliases: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    # Types of values by a key of the site: {"TopicData": {"metrics": Metrics}}.
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    # What the document lists besides: {"x-topics": {"metrics": {"durable": False}}}.
    lists: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)


Provider = Callable[[], Contribution]
_apps: dict[str, Provider] = {}
_sites: dict[str, Provider] = {}


def register_description(name: str, of_app: Provider, of_site: Provider) -> None:
    """Add what an app says. `of_site` answers with what this site has declared to the app, `of_app` with the rest."""
    _apps[name] = of_app
    _sites[name] = of_site


def of_apps() -> list[Contribution]:
    return [provider() for _, provider in sorted(_apps.items())]


def of_site() -> list[Contribution]:
    return [provider() for _, provider in sorted(_sites.items())]
