"""What msgspec says about a bad frame, as reasons that can be translated (L0, pure). Called by `commands`.

msgspec reports errors as English sentences only, of a few shapes. A shape that is not known here, for instance one of
a newer msgspec, is passed on as it is.
"""

import re

from realtime.protocol.errors import Reason

MAX_SHOWN = 64  # characters of what a client sent that are repeated in an error
MAX_WORDS = 200

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
    """Why a text is not JSON that can be read: from a DecodeError of msgspec, or a RecursionError."""
    words = str(error)
    if isinstance(error, RecursionError):
        return Reason.NESTED_TOO_DEEPLY, {}
    if "out of range" in words:
        return Reason.NUMBER_OUT_OF_RANGE, {}
    if found := _BYTE.fullmatch(words):
        return Reason.NOT_JSON_AT, {"byte": int(found["byte"])}
    return Reason.NOT_JSON, {}


def read_validation_error(sentence: str) -> tuple[Reason, Params]:
    """Why JSON does not have the wanted shape: from the sentence of a ValidationError of msgspec."""
    words, field = _split(sentence)
    if found := _MISSING.fullmatch(words):
        return Reason.FIELD_MISSING, {"field": f"{field}.{found['name']}"}
    if found := _BOUND.fullmatch(words):
        reason = _BOUNDS[found["length"] is not None, found["sign"]]
        return reason, {"field": field, "n": int(found["n"])}
    for reason, shape in _SHAPES:
        if found := shape.fullmatch(words):
            return reason, {"field": field, **{name: text[:MAX_SHOWN] for name, text in found.groupdict().items()}}
    return Reason.NOT_A_COMMAND, {"words": sentence[:MAX_WORDS]}


def _split(sentence: str) -> tuple[str, str]:
    """The words, and the field that they are about: `$.data.context`, or `keys($.streams)` for a key of an object."""
    found = _PLACE.fullmatch(sentence)
    if found is None:
        return sentence, "$"
    path = found["path"] or "$"
    return found["words"], f"keys({path})" if found["key"] else path
