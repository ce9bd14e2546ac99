"""Turns msgspec's error messages into reasons that can be translated (pure). Called by `commands`.

msgspec reports errors only as English sentences, of a few shapes. A sentence of an unknown shape, for instance from a
newer msgspec, is passed on unchanged.
"""

import re

from realtime.protocol.errors import Reason

MAX_SHOWN = 64  # characters of a client's text, repeated in an error
MAX_WORDS = 200  # characters of a sentence that is passed on

Params = dict[str, str | int]

_PLACE = re.compile(r"(?P<words>.*?)(?: - at (?P<key>`key` in )?`(?P<path>\$[^`]*)`)?", re.DOTALL)
_BYTE = re.compile(r".*\(byte (?P<byte>\d+)\)", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_BOUND = re.compile(r"Expected `\w+`(?P<length> of length)? (?P<sign>>=|<=) (?P<n>-?\d+)")
_SHAPES = (
    (Reason.WRONG_TYPE_GOT, re.compile(r"Expected `(?P<expected>[^`]*)`, got `(?P<got>[^`]*)`")),
    (Reason.WRONG_TYPE, re.compile(r"Expected `(?P<expected>[^`]*)`")),
    (Reason.WRONG_PATTERN, re.compile(r"Expected `str` matching regex '(?P<pattern>.*)'")),
    (Reason.WRONG_VALUE, re.compile(r"Invalid (?:enum )?value '?(?P<value>.*?)'?", re.DOTALL)),
    (Reason.NUMBER_OUT_OF_RANGE, re.compile(r"(?:Number|Integer value) out of range")),
)
_BOUNDS = {
    (True, ">="): Reason.TOO_SHORT,
    (True, "<="): Reason.TOO_LONG,
    (False, ">="): Reason.TOO_SMALL,
    (False, "<="): Reason.TOO_GREAT,
}


def read_decode_error(error: Exception) -> tuple[Reason, Params]:
    """Why a text cannot be read as JSON, from msgspec's DecodeError or a RecursionError."""
    words = str(error)
    if isinstance(error, RecursionError):
        return Reason.NESTED_TOO_DEEPLY, {}
    if "out of range" in words:
        return Reason.NUMBER_OUT_OF_RANGE, {}
    if found := _BYTE.fullmatch(words):
        return Reason.NOT_JSON_AT, {"byte": int(found["byte"])}
    return Reason.NOT_JSON, {}


def read_validation_error(sentence: str) -> tuple[Reason, Params]:
    """Why JSON does not have the expected shape, from the sentence of msgspec's ValidationError."""
    words, field = _split(sentence)
    if found := _MISSING.fullmatch(words):
        return Reason.FIELD_MISSING, {"field": f"{field}.{found['name']}"}
    if found := _BOUND.fullmatch(words):
        reason = _BOUNDS[found["length"] is not None, found["sign"]]
        return reason, {"field": field, "n": int(found["n"])}
    for reason, shape in _SHAPES:
        if found := shape.fullmatch(words):
            params = found.groupdict()
            if "pattern" in params:
                params["pattern"] = _as_javascript(params["pattern"])
            return reason, {"field": field, **{name: text[:MAX_SHOWN] for name, text in params.items()}}
    return Reason.NOT_A_COMMAND, {"words": sentence[:MAX_WORDS]}


def _as_javascript(pattern: str) -> str:
    """A pattern that msgspec shows as a literal of Python. In JavaScript, `$` means what Python writes as `\\Z`."""
    return pattern.replace("\\\\", "\\").replace(r"\Z", "$")


def _split(sentence: str) -> tuple[str, str]:
    """The sentence without its place, and the field it is about: `$.data.context`, or `keys($.streams)` for a key."""
    found = _PLACE.fullmatch(sentence)
    if found is None:
        return sentence, "$"
    path = found["path"] or "$"
    return found["words"], f"keys({path})" if found["key"] else path
