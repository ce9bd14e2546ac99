"""What staff fill in to send a notification of a type: the parameters of its texts, and the fields of its `data`.

And which of the parameters of `notify` may be a misspelt option. Pure. Called by the admin and by `sending`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.utils.translation import override
from msgspec import NODEFAULT, inspect, to_builtins

from notifications.texts import PLACE, forms_of
from notifications.types import OPTIONS, NotificationType, Text

ACTOR = "actor"
NUMBERS = dict.fromkeys("diouxXc", int) | dict.fromkeys("eEfFgG", float)
PLAIN: Mapping[type[inspect.Type], type] = {
    inspect.StrType: str,
    inspect.BoolType: bool,
    inspect.IntType: int,
    inspect.FloatType: float,
    inspect.DecimalType: Decimal,
    inspect.DateTimeType: datetime,
    inspect.DateType: date,
    inspect.UUIDType: UUID,
}

# A site may well have parameters with names like those of the others, such as `links` or `titles`.
DISTINCT_OPTIONS = ("dedupe_key", "group_key", "unless_present")
LIKENESS = 0.85  # of `dedup_key` and `dedupe_key` it is 0.95


@dataclass(frozen=True, slots=True)
class Parameter:
    """`kind` is what the value is: `object` for anything that JSON can hold. With `choices`, it is one of those.

    `default` is what a form shows at first: JSON where `kind` is `object`, one of `choices`, or of `kind`; else None.
    """

    name: str
    kind: type = str
    choices: tuple[str | int, ...] = ()
    is_required: bool = True
    default: Any = None
    in_texts: bool = False
    in_data: bool = False


def find_parameters(kind: NotificationType, languages: Iterable[str]) -> list[Parameter]:
    """The parameters of a type, without the name of the actor. What both its texts and its `data` have is one of them.

    Those of the texts come first.
    """
    found = {parameter.name: parameter for parameter in _of_data(kind)}
    for name, number in _read(templates_of(kind), languages).items():
        if name != ACTOR:
            known = found.get(name, Parameter(name, number))
            found[name] = replace(known, in_texts=True, is_required=True)
    return sorted(found.values(), key=lambda parameter: not parameter.in_texts)


def find_names(templates: Iterable[Text], languages: Iterable[str]) -> set[str]:
    """The names of the parameters that these templates need in any of the languages."""
    return set(_read(templates, languages))


def find_unusable(kind: NotificationType, languages: Iterable[str]) -> list[str]:
    """The parameters of the texts that nobody can pass, because `notify` has options of these names."""
    return sorted(find_names(templates_of(kind), languages) & OPTIONS)


@lru_cache(maxsize=1_024)
def find_similar_option(name: str) -> str:
    """The option of `notify` that may be meant by a parameter of this name. Empty if there is none."""
    return next(iter(get_close_matches(name, DISTINCT_OPTIONS, 1, LIKENESS)), "")


def templates_of(kind: NotificationType, *, own_title: bool = False, own_message: bool = False) -> list[Text]:
    """All templates of a type, without those that are replaced by texts of a notification's own."""
    words = [] if own_title else [kind.title]
    words += [] if own_message else [kind.message]
    return [*words, kind.link, kind.group_key, *(action.link for action in kind.actions)]


def find_tag(kind: NotificationType) -> dict[str, Any]:
    """What `data` has besides the fields, if the schema has a tag."""
    schema = find_schema(kind)
    return {schema.tag_field: schema.tag} if schema is not None and schema.tag_field else {}


def find_schema(kind: NotificationType) -> inspect.StructType | None:
    """The description of `data`, if it has one by which a form can ask for each field."""
    found = None if kind.data is None else inspect.type_info(kind.data)
    return found if isinstance(found, inspect.StructType) and not found.array_like else None


def _of_data(kind: NotificationType) -> list[Parameter]:
    schema = find_schema(kind)
    return [] if schema is None else [_of_field(field) for field in schema.fields]


def _of_field(field: inspect.Field) -> Parameter:
    value, is_optional = field.type, False
    if isinstance(value, inspect.UnionType):
        others = [one for one in value.types if not isinstance(one, inspect.NoneType)]
        is_optional = len(others) < len(value.types)
        value = others[0] if len(others) == 1 else inspect.AnyType()
    # What has a default can be left out; None is given by leaving it out.
    is_required = field.required and not is_optional
    choices = _choices_of(value)
    plain = type(choices[0]) if choices else PLAIN.get(type(value), object)
    default = _default_of(field, is_written=plain is object or bool(choices))
    return Parameter(field.encode_name, plain, choices, is_required, default, in_data=True)


def _default_of(field: inspect.Field, *, is_written: bool) -> Any:
    """None without one. With `is_written`, it is as JSON has it, also where a function makes it.

    Functions of other fields are not called before it is sent: what they make may be the moment, or an id.
    """
    makes = is_written and field.default is NODEFAULT and field.default_factory is not NODEFAULT
    default = field.default_factory() if makes else None if field.default is NODEFAULT else field.default
    return to_builtins(default) if is_written else default


def _choices_of(value: inspect.Type) -> tuple[Any, ...]:
    if isinstance(value, inspect.LiteralType):
        return tuple(value.values)
    return tuple(member.value for member in value.cls) if isinstance(value, inspect.EnumType) else ()


def _read(templates: Iterable[Text], languages: Iterable[str]) -> dict[str, type]:
    """The names in these templates, which need not be the same in each language, and what their values are."""
    wanted: Sequence[Text] = list(templates)
    found: dict[str, type] = {}
    for language in languages:
        with override(language):
            forms = [forms_of(template) for template in wanted]
        for place in (place for form in forms for text in form.texts for place in PLACE.finditer(text)):
            if place["name"]:
                found[place["name"]] = NUMBERS.get(place["letter"], str)
        found |= {form.number: int for form in forms if form.number}
    return found
