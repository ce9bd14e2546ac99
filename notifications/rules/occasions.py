"""When a rule applies, and what has happened then. Pure. Used by all modules of the package, and by site code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class When:
    """What has to happen to an object."""

    event: Literal["created", "changed", "deleted"]
    fields: tuple[str, ...] = ()  # for `changed`


created = When("created")
deleted = When("deleted")


def changed(*fields: str) -> When:
    """At least one of these fields has another value than before. Raises ValueError without fields."""
    if not fields:
        raise ValueError("Name the fields that have to change: changed('status').")
    return When("changed", fields)


@dataclass(frozen=True, slots=True)
class Occasion:
    """What has happened to one object: the functions of a rule get it.

    `old` and `new` have the values of those fields of the rule that have changed, by name; of a relation, the keys.
    """

    object: Any
    old: Mapping[str, Any] = field(default_factory=dict)
    new: Mapping[str, Any] = field(default_factory=dict)
