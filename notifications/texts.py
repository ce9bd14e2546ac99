"""Texts: a notification in words, in the active language. Called by `sending`, the lists, the mails and the admin.

A notification is stored as its type and parameters, so it is rendered when it is pushed, listed or mailed.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from notifications.links import is_safe
from notifications.types import OPTIONS, Action, MissingParameter, NotificationType, Text, all_types, find_type

if TYPE_CHECKING:
    from notifications.models import Notification

# What a template takes: `%(name)s`, with a letter that says what it is for.
PLACE = re.compile(r"%(?:\((?P<name>[^)]*)\))?[#0\- +]*[\d*]*(?:\.[\d*]+)?[hlL]?(?P<letter>.)", re.S)
# Of a decimal as a number. A text that is no longer than `1e999999999` would take hours to write out.
MOST_DIGITS = 1_000
NUMERIC = (int, float, Decimal)
# They lead to the plural forms that most languages have.
NUMBERS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Forms:
    """A template as it is written. The value of `number` chooses among the forms of a plural translation."""

    texts: Sequence[str]
    number: str = ""

    def __str__(self) -> str:
        return " / ".join(self.texts)


@dataclass(frozen=True, slots=True)
class Label:
    """An action in words. `link` is empty if it only notes the reader's choice."""

    key: str
    label: str
    link: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A notification in words."""

    title: str
    message: str
    actions: tuple[Label, ...] = ()


def forms_of(template: Text) -> Forms:
    """The template in the active language. Of a plural translation that does not name its number, nothing is known."""
    text = str(template)  # empty for a plural translation
    if text or not isinstance(template, Promise):
        return Forms([text])
    chosen = [_Number(number) for number in NUMBERS]
    try:
        texts = dict.fromkeys(template % number for number in chosen)
    except TypeError:
        return Forms([text])
    return Forms(list(texts), chosen[0].name)


def find_stray(template: Text) -> str:
    """The form of a template that has a percent sign of its own, not written `%%`. Empty if there is none.

    Python takes the next letter for a place: "50% reduction" would show all parameters, and "30% discount" is an error.
    """
    return next(filter(_has_stray, forms_of(template).texts), "")


@lru_cache(maxsize=4_096)
def _has_stray(text: str) -> bool:
    unnamed = any(place["name"] is None and place[0] != "%%" for place in PLACE.finditer(text))
    return unnamed or "%" in PLACE.sub("", text)


def fill(template: Text, params: Mapping[str, object]) -> str:
    """`template` in the active language, filled with `params`.

    Raises MissingParameter, ValueError for a percent sign that belongs to no parameter, and TypeError or ValueError for
    a value that the template cannot take.
    """
    if stray := find_stray(template):
        raise ValueError(f"{stray!r} has a percent sign that belongs to no parameter: write %% for it")
    # Django looks for the number of a plural translation in a `dict` only.
    words = params if hasattr(params, "__missing__") else _Strict(params)
    try:
        return str(_choose_form(template, words) % words)
    except MissingParameter as error:
        (name,) = error.args
        hint = ", which is an option of notify: give it another name" if name in OPTIONS else ""
        raise MissingParameter(f"{str(forms_of(template))!r} needs the parameter {name!r}{hint}") from None
    except OverflowError as error:  # such as %c for a number that no character has
        raise ValueError(str(error)) from error


def _choose_form(template: Text, words: Mapping[str, object]) -> Text:
    """Of a plural translation, the form for a decimal, or for the text as which it is stored.

    Gettext takes integers only. Every other template stays what it is.
    """
    number = words.get(forms_of(template).number) if isinstance(template, Promise) else None
    if not isinstance(number, Decimal | _Stored):
        return template
    whole = int(_Stored(number))
    form = str(template % _Number(whole if whole == Decimal(str(number)) else NUMBERS[-1]))
    # Without a place, nothing has stopped Django from filling it.
    return form if any(place["name"] for place in PLACE.finditer(form)) else form.replace("%", "%%")


def fill_link(template: str, params: Mapping[str, object]) -> str:
    """A link whose parameters are escaped, so that none of them leads elsewhere. Raises MissingParameter."""
    return fill(template, {name: _escape(value) for name, value in params.items()})


def _escape(value: object) -> object:
    """A number stays one for `%d`: no character of it leads elsewhere."""
    if type(value) in NUMERIC:
        return value
    escaped = quote(str(value), safe="")
    return _Stored(escaped) if isinstance(value, (_Stored, *NUMERIC)) else escaped


def render(
    kind: NotificationType, params: Mapping[str, object], *, title: Text | None = None, message: Text | None = None
) -> Rendered:
    """What a notification says in the active language. `title` and `message` replace those of the type.

    Raises MissingParameter.
    """
    words = {**params, **_label_values(kind, params)}
    return Rendered(
        fill(kind.title, words) if title is None else str(title),
        fill(kind.message, words) if message is None else str(message),
        tuple(_label(action, params) for action in kind.actions),
    )


def _label(action: Action, params: Mapping[str, object]) -> Label:
    return Label(action.key, str(action.label), fill_link(action.link, params))


def _label_values(kind: NotificationType, params: Mapping[str, object]) -> dict[str, object]:
    """The labels of the parameters that have one for their value, in the active language."""
    values = {name: params[name] for name in kind.labels if name in params}
    known = {name: value for name, value in values.items() if isinstance(value, Hashable)}
    return {name: str(kind.labels[name][value]) for name, value in known.items() if value in kind.labels[name]}


def label_of(kind: NotificationType) -> str:
    """The title of a type for those who choose among types, in the active language, with … for what differs."""
    text = forms_of(kind.title).texts[-1]
    return PLACE.sub(lambda place: "…" if place["name"] else place[0].replace("%%", "%"), text) or kind.key


def distinct_label_of(kind: NotificationType) -> str:
    """The same for staff, who see all types: with its key if another type has the same."""
    label = label_of(kind)
    is_shared = any(other.key != kind.key and label_of(other) == label for other in all_types())
    return f"{label} ({kind.key})" if is_shared else label


def render_own(notification: "Notification") -> Rendered:
    """What a stored notification says in the active language.

    The type may have been reworded or removed since: a parameter that is missing is left out, and so is an action whose
    link needs one; a type that is no longer registered leaves its key as the title.
    """
    kind = find_type(notification.type)
    title, message = notification.title or None, notification.message
    if kind is None:
        return Rendered(title or notification.type, message or "")
    params = shown_params(notification)
    words = _Lenient(params | _label_values(kind, params))
    return Rendered(
        title or _fill_stored(kind.title, words, str(forms_of(kind.title))),
        _fill_stored(kind.message, words, "") if message is None else message,
        tuple(filter(None, (_label_stored(action, params) for action in kind.actions))),
    )


def _fill_stored(template: Text, words: Mapping[str, object], otherwise: str) -> str:
    try:
        return fill(template, words)
    except (TypeError, ValueError):  # a template that wants a number where there is none now
        return otherwise


def _label_stored(action: Action, params: Mapping[str, object]) -> Label | None:
    """None for an action whose link cannot be filled, or must not be followed."""
    try:
        label = _label(action, params)
    except (TypeError, ValueError):
        return None
    return label if is_safe(label.link) else None


def shown_params(notification: "Notification") -> dict[str, object]:
    """The parameters, with `actor` as the people of the group. An empty name is that of a person who was erased."""
    params: dict[str, object] = {
        name: _Stored(value) if isinstance(value, str) else value for name, value in notification.params.items()
    }
    if params.get("actor") == "":
        params["actor"] = _("Somebody")
    if notification.group_count > 1:
        names = [str(person["name"]) for person in notification.group_actors]
        params["actor"] = name_people(names, notification.group_count)
    return params


def name_people(names: Sequence[str], count: int) -> str:
    """“Bob”, “Carol and Bob”, “Dan, Carol and Bob”, “Eve and 3 others”: the last people first."""
    if not names:
        return ngettext("%(count)d person", "%(count)d people", count) % {"count": count}
    if len(names) >= count:
        *others, last = names
        people = _(", ").join(others)  # between names
        return _("%(people)s and %(person)s") % {"people": people, "person": last} if others else last
    others_count = count - 1
    text = ngettext("%(person)s and %(count)d other", "%(person)s and %(count)d others", others_count)
    return text % {"person": names[0], "count": others_count}


class _Number(dict[str, int]):
    """Lets a plural translation choose a form and leave it as it is written.

    Django takes the TypeError for that of a text without a place for the number. `name` is the parameter that was asked
    for.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.name = number, ""

    def __getitem__(self, name: str) -> int:
        if self.name:
            raise TypeError
        self.name = name
        return self.number

    def __repr__(self) -> NoReturn:
        raise TypeError  # a place without a name asks for all of it


class _Strict(dict[str, Any]):
    """Names what is missing. Of a KeyError, a plural translation makes one with other words."""

    def __missing__(self, name: str) -> NoReturn:
        raise MissingParameter(name)


class _Lenient(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return ""


class _Stored(str):
    """A text that may have been a number: a `Decimal` is stored as text, and `%.2f` wants it as a number again."""

    __slots__ = ()

    def __int__(self) -> int:
        try:
            number = Decimal(str(self))
            if number.adjusted() > MOST_DIGITS:
                raise OverflowError
            return int(number)
        except ArithmeticError as error:
            raise ValueError(f"{str(self)!r} is not a number") from error

    def __float__(self) -> float:
        return float(str(self))
