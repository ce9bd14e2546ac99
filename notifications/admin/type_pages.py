"""What the pages of the catalogue of types show, in the words of the active language. Called by `admin.types`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.functional import Promise
from django.utils.timesince import timeuntil
from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _

from notifications import conf
from notifications.catalogue import previews
from notifications.catalogue.numbers import TypeNumbers, WeekNumbers
from notifications.catalogue.previews import CannotBeShown, Preview
from notifications.models import TypeSwitch
from notifications.models.announcement import LEVEL_NAMES
from notifications.texts import distinct_label_of, forms_of
from notifications.types import CHANNEL_NAMES, CHANNELS, NotificationType, Text, all_types, categories


@dataclass(frozen=True, slots=True)
class Line:
    """A type in the list."""

    kind: NotificationType
    label: str
    message: str
    level: str | Promise
    channels: str
    numbers: TypeNumbers
    is_off: bool


@dataclass(frozen=True, slots=True)
class Category:
    label: Text
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Fact:
    """`is_code` is for what only developers can change, and is shown as it stands there."""

    label: str | Promise
    value: str | Promise
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class LanguagePreview:
    """The preview in one language, or why there is none."""

    language: str
    name: str
    is_rtl: bool
    preview: Preview | None
    problem: str = ""


def list_categories(week: WeekNumbers, switches: Mapping[str, TypeSwitch]) -> list[Category]:
    """All types, in the order in which the site has registered them, under their categories."""
    off = {key for key, switch in switches.items() if switch.off}
    lines = [_make_line(kind, week.of(kind.key), kind.key in off) for kind in all_types()]
    return [
        Category(label, [line for line in lines if line.kind.category == key]) for key, label in categories().items()
    ]


def list_facts(kind: NotificationType) -> list[Fact]:
    return [fact for fact in _describe(kind) if fact.value]


def list_previews(kind: NotificationType, user: Any) -> list[LanguagePreview]:
    """One for each of the site's languages."""
    return [_show(kind, language, name, user) for language, name in conf.languages().items()]


def _make_line(kind: NotificationType, numbers: TypeNumbers, is_off: bool) -> Line:
    message, level = previews.show_message(kind), LEVEL_NAMES[kind.level]
    return Line(kind, distinct_label_of(kind), message, level, _name_channels(kind), numbers, is_off)


def _name_channels(kind: NotificationType) -> str:
    if kind.silent:
        return "–"
    return ", ".join(str(CHANNEL_NAMES[channel]) for channel in CHANNELS if channel in kind.channels) or "–"


def _describe(kind: NotificationType) -> Iterator[Fact]:
    yield Fact(_("key"), kind.key, is_code=True)
    yield Fact(_("category"), str(categories()[kind.category]))
    yield Fact(_("level"), LEVEL_NAMES[kind.level])
    yield Fact(_("channels"), _name_channels(kind))
    yield Fact(
        _("critical"), _("yes: it ignores quiet hours, mutes and what readers have chosen") if kind.critical else ""
    )
    yield Fact(_("silent"), _("yes: it is stored and counted, and nothing is pushed or mailed") if kind.silent else "")
    yield Fact(_("title"), str(forms_of(kind.title)), is_code=True)
    yield Fact(_("message"), str(forms_of(kind.message)), is_code=True)
    yield Fact(_("link"), kind.link, is_code=True)
    yield Fact(_("group"), kind.group_key, is_code=True)
    yield Fact(_("actions"), ", ".join(str(action.label) for action in kind.actions))
    yield Fact(_("expires after"), _name_time(kind))
    yield Fact(_("ends with"), kind.ends_with, is_code=True)
    yield Fact(_("data"), _name_fields(kind.data), is_code=True)
    yield Fact(_("example"), _write_example(kind), is_code=True)


def _name_time(kind: NotificationType) -> str:
    start = datetime(2000, 1, 1)
    return timeuntil(start + kind.time_to_live, start) if kind.time_to_live else ""


def _name_fields(data: type[msgspec.Struct] | None) -> str:
    if data is None:
        return ""
    fields = msgspec.structs.fields(data)
    return ", ".join(f"{field.name}: {getattr(field.type, '__name__', field.type)}" for field in fields)


def _write_example(kind: NotificationType) -> str:
    try:
        return json.dumps(dict(kind.example), cls=DjangoJSONEncoder, ensure_ascii=False) if kind.example else ""
    except (TypeError, ValueError):  # the preview says what is wrong
        return repr(dict(kind.example))


def _show(kind: NotificationType, language: str, name: str, user: Any) -> LanguagePreview:
    try:
        is_rtl = bool(get_language_info(language)["bidi"])
    except KeyError:  # a language of the site's own
        is_rtl = False
    try:
        return LanguagePreview(language, name, is_rtl, previews.show(kind, language, user))
    except CannotBeShown as problem:
        return LanguagePreview(language, name, is_rtl, None, str(problem))
