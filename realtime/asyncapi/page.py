"""What the page about the sockets shows: the document, in the order in which people read.

Called by `api.socket_docs`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.utils.html import escape, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from realtime.asyncapi.page_texts import say
from realtime.asyncapi.page_types import Field, Link, list_fields, write_type
from realtime.asyncapi.schemas import Schema, name_of

ONE_LINE = 88  # characters of an example that is not broken into lines

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A frame, a command or a part of one."""

    anchor: str
    name: str
    title: str
    text: SafeString
    fields: list[Field]
    examples: list[str]
    answers: list[Link]


@dataclass(frozen=True, slots=True)
class Group:
    anchor: str
    title: str
    entries: list[Entry]


class Page:
    """The parts of the page. Anchors are such as `command-join`, `frame-chat` and `type-ChatData`."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.schemas: Mapping[str, Schema] = document["components"]["schemas"]
        self.messages: Mapping[str, Any] = document["components"]["messages"]
        self.anchors = {name: f"type-{name}" for name in self.schemas}
        self.anchors |= {"AnyCommand": "commands", "ServerFrame": "frames", "AnyFrame": "frames"}
        for union, word in (("AnyCommand", "command"), ("ServerFrame", "frame")):
            for name in self._list_union(union):
                self.anchors[name] = f"{word}-{self.messages[name]['name']}"

    @cached_property
    def about(self) -> SafeString:
        return render_text(self.document["info"]["description"])

    @cached_property
    def groups(self) -> list[Group]:
        """Commands, frames, and everything that they consist of."""
        commands, own, notifications, every = map(
            self._list_union, ("AnyCommand", "AnyFrame", "NotificationEvent", "ServerFrame")
        )
        rest = [name for name, schema in self.schemas.items() if "oneOf" not in schema]
        parts = [
            ("commands", _("Commands"), commands),
            ("frames", _("Frames"), own),
            ("notifications", _("Frames about notifications"), notifications),
            ("site", _("Frames of this site"), [name for name in every if name not in own + notifications]),
            ("types", _("Types"), [name for name in rest if name not in commands + every]),
        ]
        return [Group(anchor, title, [*map(self._show, names)]) for anchor, title, names in parts if names]

    @cached_property
    def channels(self) -> list[dict[str, Any]]:
        """What may be sent and got is listed for sockets for one purpose, because the others have everything."""
        return [
            {
                "anchor": f"socket-{key}",
                "address": channel["address"],
                "title": say(channel["title"]),
                "text": render_text(channel["description"]),
                "messages": self._list_messages(key) if len(channel["messages"]) < len(self._everything) else [],
            }
            for key, channel in self.document["channels"].items()
        ]

    @cached_property
    def credentials(self) -> list[dict[str, Any]]:
        schemes = self.document["components"]["securitySchemes"]
        return [{"name": name, "text": render_text(scheme["description"])} for name, scheme in schemes.items()]

    @cached_property
    def closes(self) -> list[dict[str, Any]]:
        """Close codes, those without a reason left out: they come without a `disconnect`."""
        return [
            {**close, "reasons": [(reason, render_line(text)) for reason, text in close["reasons"].items()]}
            for close in self.document["x-close-codes"]
            if close["reasons"]
        ]

    @cached_property
    def errors(self) -> list[tuple[str, SafeString]]:
        return [(code, render_line(text)) for code, text in self.document["x-error-codes"].items()]

    @cached_property
    def topics(self) -> list[dict[str, Any]]:
        return self._list_with_values("x-topics", "TopicData")

    @cached_property
    def notification_types(self) -> list[dict[str, Any]]:
        return self._list_with_values("x-notification-types", "NotificationData")

    def _list_with_values(self, entries: str, map: str) -> list[dict[str, Any]]:
        kinds = self.document["x-values"].get(map, {})
        return [
            {"key": key, **entry, "kind": write_type(kinds[key], self.anchors) if key in kinds else None}
            for key, entry in self.document.get(entries, {}).items()
        ]

    @cached_property
    def _everything(self) -> Mapping[str, Any]:
        messages: Mapping[str, Any] = self.document["channels"]["socket"]["messages"]
        return messages

    def _list_messages(self, channel: str) -> list[tuple[str, list[Link]]]:
        title = channel[0].upper() + channel[1:]
        operations = [(_("Commands:"), f"receiveOn{title}"), (_("Frames:"), f"sendOn{title}")]
        messages = self.document["operations"]
        return [(word, [self._link(name_of(one)) for one in messages[key]["messages"]]) for word, key in operations]

    def _list_union(self, name: str) -> list[str]:
        return [name_of(option) for option in self.schemas.get(name, {}).get("oneOf", ())]

    def _show(self, name: str) -> Entry:
        schema = self.schemas[name]
        message = self.messages.get(name, {})
        return Entry(
            anchor=self.anchors[name],
            name=message.get("name", name),
            title=name,
            text=render_text(schema.get("description", "")),
            fields=list_fields(schema, self.anchors),
            examples=[_write_example(example["payload"]) for example in message.get("examples", ())],
            answers=self._list_answers(name),
        )

    def _list_answers(self, name: str) -> list[Link]:
        """Frames have none, though some have the name of a command."""
        if not name.endswith("Command"):
            return []
        operation = self.document["operations"].get(f"receive{name.removesuffix('Command')}", {})
        return [self._link(name_of(reply)) for reply in operation.get("reply", {}).get("messages", ())]

    def _link(self, name: str) -> Link:
        return Link(self.messages[name]["name"], self.anchors[name])


def _write_example(value: Any) -> str:
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= ONE_LINE else json.dumps(value, ensure_ascii=False, indent=2)


def render_text(text: str) -> SafeString:
    """The paragraphs of a text of the document, in the reader's language, as HTML."""
    return format_html_join("\n", "<p>{}</p>", ((_mark(part),) for part in say(text).split("\n\n") if part))


def render_line(text: str) -> SafeString:
    return _mark(say(text))


def _mark(text: str) -> SafeString:
    """`code` and *emphasis*."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return mark_safe(re.sub(r"\*(\w+)\*", r"<em>\1</em>", marked))
