"""Texts of refusals: each reason has one, in each language; and what is wrong with a frame is said in the client's."""

import ast
import json
import re
from pathlib import Path

import pytest
from django.utils.translation import override

from realtime.delivery.refusal_texts import TEXTS, language_of, say, translate
from realtime.protocol.commands import Invalid, decode
from realtime.protocol.dialects import NOTIFICATIONS, speak_content
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.protocol.validation import read_decode_error, read_validation_error
from tests.contract.wrong_commands import NO_COMMAND, NO_SUCH_TYPE, NOT_JSON, wrong_commands

CHINESE = "zh-hans"
SOURCES = sorted((Path(__file__).resolve().parents[2] / "realtime").glob("**/*.py"))
NAMES = {"JSON", "NUL", "direct-", "a-z"}  # that Chinese sentences keep


def placeholders(text):
    return sorted(re.findall(r"%\(\w+\)[a-z]", text))


def english_words(text):
    """Words of a Chinese text that are not quoted in backticks, as names of fields are."""
    return set(re.findall(r"[A-Za-z][A-Za-z-]+", re.sub(r"`[^`]*`", "", text, flags=re.DOTALL))) - NAMES


def refusal_of(raw, read=decode):
    with pytest.raises(Invalid) as caught:
        read(raw)
    return caught.value


def test_every_reason_has_a_text():
    assert set(TEXTS) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_every_text_is_translated(reason):
    with override("en"):
        english = str(TEXTS[reason])
    with override(CHINESE):
        chinese = str(TEXTS[reason])
    assert chinese != english
    assert placeholders(chinese) == placeholders(english)
    assert english_words(re.sub(r"%\(\w+\)[a-z]", "", chinese)) == set()


def given_params():
    """Each reason that is named in the code, with the parameters that are given with it."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) not in ("Refused", "Invalid", "say"):
                continue
            reasons = [ast.unparse(arg).removeprefix("Reason.") for arg in node.args if "Reason." in ast.unparse(arg)]
            names = {keyword.arg for keyword in node.keywords} - {"retry_after_ms"}
            yield from ((Reason[name], names) for name in reasons)


def test_every_refusal_has_the_parameters_of_its_text():
    given = list(given_params())
    assert len(given) > 40
    for reason, names in given:
        assert names == set(re.findall(r"%\((\w+)\)", str(TEXTS[reason]))), reason


def test_it_speaks_the_language_that_is_asked_for():
    refusal = Refused(ErrorCode.INVALID_MESSAGE, Reason.MESSAGE_TOO_LONG, n=5)
    assert translate(refusal, "en") == "A message has at most 5 characters."
    assert translate(refusal, CHINESE) == "消息最多 5 个字符。"
    with override(CHINESE):
        assert translate(refusal) == say(Reason.MESSAGE_TOO_LONG, n=5) == "消息最多 5 个字符。"


def test_it_explains_itself_to_site_code():
    refusal = Refused(ErrorCode.INVALID_MESSAGE, Reason.MESSAGE_TOO_LONG, n=5)
    assert str(refusal) == "INVALID_MESSAGE: message too long (n=5)"
    assert str(Refused(ErrorCode.NOT_FOUND, Reason.NO_SUCH_ROOM)) == "NOT_FOUND: no such room"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9", CHINESE),
        ("zh-hans", CHINESE),
        ("fr, en;q=0.5, zh;q=0.1", "en"),
        ("xx", "en"),
        ("!?," * 9, "en"),
    ],
)
def test_it_finds_the_language_of_a_handshake(header, language):
    assert language_of({b"accept-language": header.encode()}) == language
    assert language_of({}) == "en"


def test_sockets_share_the_name_of_their_language():
    assert language_of({b"accept-language": b"zh-CN"}) is language_of({b"accept-language": b"zh-hans"})


# What msgspec says


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        (
            "Expected `int | str`, got `array` - at `$.to_user_id`",
            (Reason.WRONG_TYPE_GOT, {"field": "$.to_user_id", "expected": "int | str", "got": "array"}),
        ),
        ("Expected `str` - at `$.type`", (Reason.WRONG_TYPE, {"field": "$.type", "expected": "str"})),
        ("Object missing required field `type`", (Reason.FIELD_MISSING, {"field": "$.type"})),
        (
            "Object missing required field `is_typing` - at `$.data`",
            (Reason.FIELD_MISSING, {"field": "$.data.is_typing"}),
        ),
        ("Expected `str` of length >= 1 - at `$.token`", (Reason.TOO_SHORT, {"field": "$.token", "n": 1})),
        ("Expected `array` of length <= 100 - at `$.messages`", (Reason.TOO_LONG, {"field": "$.messages", "n": 100})),
        (
            "Expected `str` of length <= 100 - at `key` in `$.streams`",
            (Reason.TOO_LONG, {"field": "keys($.streams)", "n": 100}),
        ),
        ("Expected `int` >= 0 - at `$.streams[...]`", (Reason.TOO_SMALL, {"field": "$.streams[...]", "n": 0})),
        ("Expected `int` <= 7 - at `$.seq`", (Reason.TOO_GREAT, {"field": "$.seq", "n": 7})),
        (
            "Invalid enum value 'a - at `b`' - at `$.kind`",
            (Reason.WRONG_VALUE, {"field": "$.kind", "value": "a - at `b`"}),
        ),
        (
            "Expected `str` matching regex '^[a-z`]' - at `$.id`",
            (Reason.WRONG_PATTERN, {"field": "$.id", "pattern": "^[a-z`]"}),
        ),
        ("Number out of range - at `$.data[...]`", (Reason.NUMBER_OUT_OF_RANGE, {"field": "$.data[...]"})),
        ("Of another kind - at `$.x`", (Reason.NOT_A_COMMAND, {"words": "Of another kind - at `$.x`"})),
    ],
)
def test_it_reads_what_the_decoder_says(sentence, expected):
    assert read_validation_error(sentence) == expected


def test_it_repeats_no_more_than_a_little_of_what_was_sent():
    _, params = read_validation_error(f"Invalid enum value '{'x' * 9000}' - at `$.status`")
    assert len(str(params["value"])) == 64
    _, params = read_validation_error("x" * 9000)
    assert len(str(params["words"])) == 200


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("JSON is malformed: invalid character (byte 4)"), (Reason.NOT_JSON_AT, {"byte": 4})),
        (ValueError("Input data was truncated"), (Reason.NOT_JSON, {})),
        (ValueError("Number out of range - at `$.x`"), (Reason.NUMBER_OUT_OF_RANGE, {})),
        (RecursionError("maximum recursion depth exceeded"), (Reason.NESTED_TOO_DEEPLY, {})),
    ],
)
def test_it_reads_why_a_text_is_not_json(error, expected):
    assert read_decode_error(error) == expected


def wrong_texts():
    for what, command, _id in wrong_commands():
        yield what, json.dumps(command)
    yield from NOT_JSON.items()
    yield from ((what, raw) for what, raw in NO_COMMAND.items() if isinstance(raw, str))
    yield from ((name[:20], json.dumps({"type": name})) for name in NO_SUCH_TYPE)
    for number in ("1e999", "1" + "0" * 30):
        yield f"seq {number}", f'{{"type":"join","room_id":"general","since":{number}}}'
    yield "a long key", json.dumps({"type": "resume", "streams": {"x" * 101: 1}})
    yield "a bad position", json.dumps({"type": "resume", "streams": {"site": -1}})
    yield "too many streams", json.dumps({"type": "resume", "streams": {str(n): 1 for n in range(251)}})
    yield "too many ids", json.dumps({"type": "read", "notification_ids": [1] * 1001})
    yield "a bad id", json.dumps({"type": "read", "notification_ids": [0]})


def test_it_says_what_is_wrong_in_chinese():
    for what, raw in wrong_texts():
        refusal = refusal_of(raw)
        assert refusal.reason is not Reason.NOT_A_COMMAND, (what, refusal)
        text = translate(refusal, CHINESE)
        assert english_words(text) == set(), (what, text)


@pytest.mark.parametrize(
    ("read", "text", "reason"),
    [
        (speak_content("general").parse, '{"content":1}', Reason.WRONG_TYPE_GOT),
        (speak_content("general").parse, '{"content":""}', Reason.TOO_SHORT),
        (speak_content("general").parse, '{"content":"x","kind":"video"}', Reason.WRONG_VALUE),
        (speak_content("general").parse, "{}", Reason.FIELD_MISSING),
        (speak_content("general").parse, '{"type":"join"}', Reason.UNKNOWN_COMMAND_HERE),
        (speak_content("general").parse, "[]", Reason.NOT_AN_OBJECT),
        (speak_content("general").parse, "{", Reason.NOT_JSON),
        (NOTIFICATIONS.parse, '{"type":"ping","id":1}', Reason.WRONG_TYPE_GOT),
        (NOTIFICATIONS.parse, '{"type":"leave","room_id":"x"}', Reason.UNKNOWN_COMMAND_HERE),
    ],
)
def test_it_says_it_of_every_dialect(read, text, reason):
    refusal = refusal_of(text, read)
    assert refusal.reason is reason
    assert english_words(translate(refusal, CHINESE)) == set()
