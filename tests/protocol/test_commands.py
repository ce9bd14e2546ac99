"""Commands from texts: which there are, why a text is none, and the sender's word for it."""

import json

import pytest

from realtime.protocol.commands import Invalid, Ping, decode, read_id
from realtime.protocol.errors import ErrorCode
from tests.contract.description import read_document
from tests.contract.wrong_commands import VALID


@pytest.mark.parametrize("type_", VALID)
def test_it_knows_the_command(type_):
    command = decode(json.dumps({"type": type_, "id": "c-1", **VALID[type_]}))
    assert (command.__struct_config__.tag, command.id) == (type_, "c-1")


def test_it_passes_over_what_it_does_not_know():
    assert decode('{"type": "ping", "timestamp": 1, "colour": "red"}') == Ping(timestamp=1)


@pytest.mark.parametrize(
    ("raw", "code", "id"),
    [
        ("", ErrorCode.INVALID_JSON, None),
        ("{", ErrorCode.INVALID_JSON, None),
        ("[" * 10_000, ErrorCode.INVALID_JSON, None),
        ("[]", ErrorCode.INVALID_MESSAGE, None),
        ("{}", ErrorCode.INVALID_MESSAGE, None),
        ('{"id": "c-1"}', ErrorCode.INVALID_MESSAGE, "c-1"),
        ('{"type": 1, "id": "c-1"}', ErrorCode.INVALID_MESSAGE, "c-1"),
        ('{"type": "sing", "id": "c-1"}', ErrorCode.UNKNOWN_MESSAGE_TYPE, "c-1"),
        ('{"type": "join", "id": "c-1"}', ErrorCode.INVALID_MESSAGE, "c-1"),
        ('{"type": "ping", "id": 1}', ErrorCode.INVALID_MESSAGE, None),
    ],
)
def test_it_says_why_a_text_is_no_command(raw, code, id):
    with pytest.raises(Invalid) as caught:
        decode(raw)
    assert (caught.value.code, caught.value.id) == (code, id)


def test_it_names_the_field_that_is_wrong():
    with pytest.raises(Invalid, match=r"\$\.room_id"):
        decode('{"type": "join", "room_id": "A room"}')


def test_it_shows_a_pattern_as_the_description_of_the_sockets_does():
    with pytest.raises(Invalid) as caught:
        decode('{"type":"join","room_id":"Tea room"}')
    shown = read_document()["components"]["schemas"]["RoomId"]["pattern"]
    assert caught.value.params == {"field": "$.room_id", "pattern": shown}


def test_it_leaves_what_is_not_utf8_to_the_caller():
    with pytest.raises(UnicodeDecodeError):
        decode(b'{"type": "ping", "id": "\xff"}')


@pytest.mark.parametrize(
    ("raw", "id"),
    [
        ('{"id": "c-1"}', "c-1"),
        (b'{"id": "c-1", "type": "sing"}', "c-1"),
        (f'{{"id": "{"x" * 65}"}}', None),
        ('{"id": 1}', None),
        ('["id"]', None),
        ("{", None),
        (b'{"id": "\xff"}', None),
    ],
)
def test_it_reads_the_senders_word_unchecked(raw, id):
    assert read_id(raw) == id
