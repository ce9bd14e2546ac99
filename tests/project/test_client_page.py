"""docs/client.md names the options, limits and methods of the browser library, and nothing that does not exist."""

import re

import pytest

from bench.servers import ROOT
from notifications.api.serializers import FilterShape

PAGE = re.sub(r"^```.*?^```", "", (ROOT / "docs" / "client.md").read_text(), flags=re.M | re.S)
TYPES = (ROOT / "client" / "src" / "types.ts").read_text()
SETTINGS = (ROOT / "client" / "src" / "settings.ts").read_text()
COMMENT = re.compile(r"/\*.*?\*/", re.S)
CODE = re.compile(r"`([^`]+)`")


def members(interface: str) -> set[str]:
    """The names in an interface of the library."""
    found = re.search(rf"^export interface {interface}\b.*?\{{\n(.*?)^\}}", TYPES, re.M | re.S)
    assert found is not None, interface
    return set(re.findall(r"^  (?:readonly )?(\w+)\??[(<:]", COMMENT.sub("", found[1]), re.M))


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def words(codes: list[str]) -> set[str]:
    return set(re.findall(r"\w+", " ".join(codes)))


def first_column(text: str) -> set[str]:
    """What the rows of the first table are about, without the arguments of methods."""
    table = re.search(r"^\|---.*\n((?:\|.*\n)+)", text, re.M)
    assert table is not None
    cells = re.findall(r"^\| (`.*?) \|", table[1], re.M)
    codes = [re.sub(r"\(.*?\)", "", code) for cell in cells for code in CODE.findall(cell)]
    return {code.split(".")[-1] for code in codes}


@pytest.mark.parametrize(
    ("title", "interfaces"),
    [
        ("Options", ["Options"]),
        ("Limits", ["Limits"]),
        ("The connection", ["State"]),
        ("Rooms", ["Room", "RoomSnapshot", "Message"]),
        ("Topics and presence", ["Topic", "Presence", "PresenceSnapshot"]),
        ("Notifications", ["Notifications", "InboxSnapshot"]),
    ],
)
def test_it_has_every_name(title: str, interfaces: list[str]) -> None:
    named = words(CODE.findall(section(title)))
    assert {name for one in interfaces for name in members(one)} - named == set()


def test_every_name_of_the_client_is_on_the_page() -> None:
    assert members("Client") | members("Realtime") <= words(CODE.findall(PAGE))


@pytest.mark.parametrize(
    ("title", "interfaces"),
    [
        ("Options", ["Options"]),
        ("Limits", ["Limits"]),
        ("Frames and commands", ["Client"]),
        ("Rooms", ["Room", "RoomSnapshot"]),
        ("Topics and presence", ["Presence", "PresenceSnapshot"]),
        ("Notifications", ["Notifications", "InboxSnapshot"]),
    ],
)
def test_what_its_tables_name_exists(title: str, interfaces: list[str]) -> None:
    known = {name for one in interfaces for name in members(one)} | {"getSnapshot"}
    assert first_column(section(title)) - known == set()


def test_it_has_the_states_of_the_connection() -> None:
    union = re.search(r"^export type Status = (.*);", TYPES, re.M)
    assert union is not None
    assert first_column(section("The connection")) == set(re.findall(r'"(\w+)"', union[1]))


def test_it_has_the_default_of_every_limit() -> None:
    body = SETTINGS.split("LIMITS: Limits = {")[1].split("}")[0]
    defaults = {name: int(number.replace("_", "")) for name, number in re.findall(r"(\w+): ([\d_]+)", body)}
    listed = {}
    for names, numbers in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([\d, and]+) \|", section("Limits"), re.M):
        found = [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", numbers)]
        listed |= dict(zip(CODE.findall(names), found, strict=True))
    assert listed == defaults


def test_a_list_of_the_inbox_has_the_filters_of_the_server() -> None:
    assert members("InboxFilter") == set(FilterShape().fields)
