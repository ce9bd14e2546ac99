"""The description of the sockets: it is AsyncAPI, up to date, complete, and true."""

import gzip
import json
import re
from pathlib import Path

import fastjsonschema
import jsonschema
import msgspec
import pytest
from django.core.management import call_command
from django.utils import translation

from bench.servers import ROOT
from realtime.asyncapi import contributions
from realtime.asyncapi.document import make_document, write_document
from realtime.asyncapi.typescript import write_library
from realtime.protocol import commands
from realtime.protocol.dialects import RoomInput, RoomKindInput
from realtime.protocol.translations import Accepted, RoomChat, RoomKind, RoomMessage
from tests.contract.conversation import CLOSES, PLAIN_CLOSES, RECONNECT
from tests.contract.description import compile_judge, find_fault, read_document
from tests.contract.wrong_commands import VALID, wrong_commands
from tests.protocol.test_frames_wire import DOCUMENT, FRAMES, SAMPLES, type_of

# The official schema (https://github.com/asyncapi/spec-json-schemas, 6.11.1), under the Apache License 2.0.
SPECIFICATION = Path(__file__).with_name("asyncapi-3.0.0.json.gz")
OF_ONE_PURPOSE = {kind.__name__: kind for kind in (RoomInput, RoomKindInput, Accepted, RoomChat, RoomKind, RoomMessage)}
MESSAGES = read_document()["components"]["messages"]
# What JSON Schema cannot see: numbers that no database has, and which of two commands of a `read` is meant.
TOO_LARGE = {str(2**63), str(10**30)[:20]}


@pytest.fixture(scope="module")
def specification():
    return jsonschema.Draft7Validator(json.loads(gzip.decompress(SPECIFICATION.read_bytes())))


def struct_of(name):
    return OF_ONE_PURPOSE.get(name) or (commands.AnyCommand if name.endswith("Command") else FRAMES)


@pytest.mark.parametrize("site", [True, False])
def test_it_is_asyncapi(specification, site):
    document = make_document(site=site)
    assert [error.message for error in specification.iter_errors(document)] == []
    broken = {**document, "channels": {"socket": {**document["channels"]["socket"], "adress": "/"}}}
    assert not specification.is_valid(broken)


def test_it_is_up_to_date():
    with translation.override(None):
        document = make_document(site=False)
    assert (ROOT / "docs/asyncapi.json").read_text() == write_document(document), "run `make sockets`"
    assert (ROOT / "client/src/frames.ts").read_text() == write_library(document), "run `make sockets`"


def test_every_reference_leads_somewhere():
    document = read_document()
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))):
        place = document
        for key in reference.split("/"):
            place = place[key]


@pytest.mark.parametrize("name", MESSAGES)
def test_its_examples_are_true(name):
    examples = [example["payload"] for example in MESSAGES[name]["examples"]]
    assert examples
    for example in examples:
        compile_judge(name)(example)
        decoded = msgspec.json.decode(json.dumps(example), type=struct_of(name))
        assert json.loads(msgspec.json.encode(decoded)).items() >= example.items()


def test_every_message_is_explained():
    assert [name for name, message in MESSAGES.items() if "summary" not in message] == []


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.get("type", "accepted"))
def test_the_samples_of_the_page_fit(sample):
    kind = type_of(sample)
    struct = msgspec.json.decode(json.dumps(sample), type=kind)
    compile_judge(type(struct).__name__)(sample)


def test_commands_are_answered_as_the_page_says():
    rows = dict(re.findall(r'^\| `\{"type":"(\w+)"[^`]*`\s*\| (.*) \|$', DOCUMENT, re.M))
    # What was missed, and then this; nothing, or the frame that others get.
    rows |= {"resume": '`{"type":"resumed"', "read": "", "typing": "", "presence": ""}
    operations = read_document()["operations"]
    for command in VALID.keys() | {"batch"}:
        answer, _ = operations[f"receive{command.capitalize()}"]["reply"]["messages"]
        name = MESSAGES[answer["$ref"].rpartition("/")[2]]["name"]
        shown = re.match(r'`\{"type":"(\w+)"', rows[command])
        assert name == (shown[1] if shown else "ack"), command


def test_it_has_the_codes_of_the_page():
    codes = {entry["code"]: entry for entry in read_document()["x-close-codes"]}
    shown = {
        int(code): (text, answer)
        for code, text, answer in re.findall(r"^\| (\d{4}) \| (.*) \| (.*) \|$", DOCUMENT, re.M)
    }
    assert codes.keys() - {1000} == shown.keys() == CLOSES.keys()
    for code, (text, answer) in shown.items():
        assert codes[code]["reasons"].keys() == CLOSES[code] == set(re.findall(r"`([A-Z_]{6,})`", text)), code
        assert codes[code]["reconnect"] == (code in RECONNECT) == answer.startswith("yes")
    errors = re.findall(r"^\| `([A-Z_]+)` \|", DOCUMENT.partition("## Errors")[2].partition("## Closing")[0], re.M)
    assert read_document()["x-error-codes"].keys() == set(errors)
    assert set(codes) >= PLAIN_CLOSES - {1002}


def test_it_accepts_what_the_server_accepts():
    for type, fields in VALID.items():
        compile_judge("AnyCommand")({"type": type, "id": "c-1", **fields})


def test_it_refuses_what_the_server_refuses():
    judge = compile_judge("AnyCommand")
    wrong = [wrong for wrong in wrong_commands() if not any(value in wrong.what for value in TOO_LARGE)]
    assert len(wrong) > 300
    for one in wrong:
        with pytest.raises(fastjsonschema.JsonSchemaValueException):
            judge(one.command)


def test_it_finds_faults_by_the_type_of_a_frame():
    frame = {"type": "heartbeat", "timestamp": "2025-10-22T10:00:00.123456Z"}
    faults = [find_fault(one) for one in (frame, {**frame, "timestamp": "now"}, {**frame, "type": "beat"})]
    assert faults[0] == ""
    assert "timestamp" in faults[1]
    assert "beat" in faults[2]


def test_realtime_alone_has_a_description(specification, monkeypatch):
    monkeypatch.setattr(contributions, "_apps", {})
    monkeypatch.setattr(contributions, "_sites", {})
    document = make_document()
    assert specification.is_valid(document)
    assert "NotificationFrame" not in document["components"]["schemas"]


def test_the_command_writes_files(tmp_path, capsys):
    call_command("asyncapi", "--without-site", "--output", tmp_path / "a.json", "--typescript", tmp_path / "a.ts")
    assert capsys.readouterr().out == ""
    assert (tmp_path / "a.ts").read_text() == (ROOT / "client/src/frames.ts").read_text()
    call_command("asyncapi", "--without-site")
    assert capsys.readouterr().out == (tmp_path / "a.json").read_text() == (ROOT / "docs/asyncapi.json").read_text()
