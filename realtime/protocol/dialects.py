"""Dialects: how sockets for one purpose write commands and frames (pure; protocol §7). Used by their consumers.

A dialect only translates between a socket's texts and the protocol. It makes no decisions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from realtime.protocol import commands
from realtime.protocol.commands import Command, CommandId, Invalid, Kind, Message, Note
from realtime.protocol.errors import ErrorCode, Reason
from realtime.protocol.outgoing import Translation
from realtime.protocol.translations import (
    read_type,
    translate_chat,
    translate_kind,
    translate_message,
    translate_note,
    translate_notification,
)
from realtime.protocol.validation import MAX_SHOWN


@dataclass(frozen=True, slots=True)
class Dialect:
    """`parse` turns a text into a command, or raises Invalid.

    `translate` turns a frame's JSON into the text that is sent; None means that the frame is not sent. Sockets with the
    same `translate` share its result, so the result must not depend on whose socket it is.
    """

    parse: Callable[[str], Command]
    translate: Translation


IN_ROOMS = frozenset({"ping", "pong", "auth"})
KINDS = frozenset(get_args(Kind))
ABOUT_NOTIFICATIONS = IN_ROOMS | {"read", "resume"}


class RoomInput(msgspec.Struct):
    """A message to the room of the socket. The sender is known from the socket; other fields are ignored."""

    content: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    kind: Kind = "text"
    id: CommandId | None = None


class RoomKindInput(msgspec.Struct):
    """A message to the room of the socket; its kind is the `type`. A sender and a time in it are ignored."""

    type: Kind
    content: Annotated[str, Meta(min_length=1)]
    id: CommandId | None = None


_told_kind = msgspec.json.Decoder(RoomKindInput)
_said = msgspec.json.Decoder(RoomInput)


def parse_text(room_id: str, text: str) -> Command:
    """A text that is not a JSON object is a message with just that text, also `42`, `"quoted"` and `{this}`."""
    if text.lstrip().startswith("{"):
        try:
            return parse_content(room_id, text)
        except Invalid as error:
            if error.code is not ErrorCode.INVALID_JSON:
                raise
    return _say(room_id, text)


def parse_content(room_id: str, text: str) -> Command:
    """A command if the `type` is one that sockets of rooms accept, else a message.

    Raises Invalid.
    """
    with _explained(text):
        type_ = read_type(text)
        if isinstance(type_, str) and type_ in IN_ROOMS:
            return commands.decode(text)
        said = _said.decode(text)
    if said.content is not UNSET:
        return _say(room_id, said.content, said.kind, said.id)
    if isinstance(type_, str):
        raise _unknown(type_, said.id)
    raise Invalid(ErrorCode.INVALID_MESSAGE, Reason.FIELD_MISSING, said.id, field="$.content")


def parse_kind(room_id: str, text: str) -> Command:
    """A command if the `type` is one that sockets of rooms accept, else a message whose kind is the `type`.

    Raises Invalid.
    """
    with _explained(text):
        type_ = read_type(text)
        if isinstance(type_, str) and type_ in IN_ROOMS:
            return commands.decode(text)
        if isinstance(type_, str) and type_ not in KINDS:
            raise _unknown(type_, commands.read_id(text))
        told = _told_kind.decode(text)
    return _say(room_id, told.content, told.type, told.id)


def parse_note(text: str) -> Command:
    """A note, or a command that sockets of rooms accept, too. Raises Invalid."""
    command = parse_content("", text)
    if not isinstance(command, Message):
        return command
    return Note(message=command.message, kind=command.kind, id=command.id)


def parse_notification_command(text: str) -> Command:
    """One of the commands in ABOUT_NOTIFICATIONS. Raises Invalid for any other."""
    command = commands.decode(text)
    type_ = str(command.__struct_config__.tag)
    if type_ not in ABOUT_NOTIFICATIONS:
        raise _unknown(type_, command.id)
    return command


@contextmanager
def _explained(text: str) -> Iterator[None]:
    """Turns the errors of decoding this text into Invalid."""
    try:
        yield
    except msgspec.ValidationError as error:
        raise commands.explain(text, str(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise commands.not_json(error) from None


def _say(room_id: str, text: str, kind: Kind = "text", id: str | None = None) -> Message:
    if not text:
        raise Invalid(ErrorCode.INVALID_MESSAGE, Reason.MESSAGE_EMPTY, id)
    return Message(message=text, room_id=room_id, kind=kind, id=id)


def _unknown(type_: str, id: str | None) -> Invalid:
    return Invalid(ErrorCode.UNKNOWN_MESSAGE_TYPE, Reason.UNKNOWN_COMMAND_HERE, id, name=type_[:MAX_SHOWN])


def speak_text(room_id: str) -> Dialect:
    return Dialect(partial(parse_text, room_id), translate_message)


def speak_content(room_id: str) -> Dialect:
    return Dialect(partial(parse_content, room_id), translate_chat)


def speak_kinds(room_id: str) -> Dialect:
    return Dialect(partial(parse_kind, room_id), translate_kind)


NOTES = Dialect(parse_note, translate_note)
NOTIFICATIONS = Dialect(parse_notification_command, translate_notification)
