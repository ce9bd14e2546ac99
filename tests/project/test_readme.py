"""What README.md says is so: settings, examples, links, the table of the benchmark."""

import ast
import asyncio
import json
import re
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.testing import WebsocketCommunicator

from bench import readme
from bench.servers import ROOT
from notifications import types
from notifications.models import Notification
from realtime.conf import Settings
from realtime.models import Event
from realtime.sockets.node import stop_node
from tests.patience import PATIENCE_SECONDS
from tests.people import make_user

TEXT = readme.README.read_text()
ROW = re.compile(r"^\| `([A-Z_]+)` \| `(.+?)` \| (.+) \|$", re.M)
LINK = re.compile(r"\]\(([^)]+)\)")
LONGEST = 144  # characters of a line outside of tables and examples
BLOCK = re.compile(r"^ *```.*?^ *```", re.M | re.S)
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "client" / "README.md"])


def example(name: str) -> str:
    """The code that follows a marker."""
    return TEXT.split(f"<!-- example:{name} -->\n```python\n")[1].split("```")[0]


def test_it_names_every_setting_with_its_default() -> None:
    listed = {name: ast.literal_eval(default) for name, default, _ in ROW.findall(TEXT)}
    assert listed == {field.name.upper(): field.default for field in fields(Settings)}


def test_it_shows_the_table_of_the_benchmark() -> None:
    assert readme.put_table(TEXT, readme.read_table()) == TEXT, "run `python -m bench.readme`"


@pytest.mark.django_db(transaction=True)  # Channels looks after the connections of its threads
async def test_a_site_serves_sockets_of_its_own_beside_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mysite", ModuleType("mysite"))
    monkeypatch.setitem(sys.modules, "mysite.consumers", SimpleNamespace(EchoConsumer=Echo))
    names: dict[str, Any] = {"django_application": None}
    exec(example("own_sockets"), names)
    theirs = WebsocketCommunicator(names["application"], "/ws/echo")
    assert await theirs.connect(PATIENCE_SECONDS) == (True, None)
    await theirs.send_to("Hello!")
    assert await theirs.receive_from(PATIENCE_SECONDS) == "Hello!"
    await theirs.disconnect(timeout=PATIENCE_SECONDS)
    ours = WebsocketCommunicator(names["application"], "/api/v1/ws?token=wrong")
    await ours.connect(PATIENCE_SECONDS)
    assert json.loads(await ours.receive_from(PATIENCE_SECONDS))["type"] == "disconnect"
    await ours.disconnect(timeout=PATIENCE_SECONDS)
    await stop_node()


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(text_data)


def test_the_first_table_of_the_page_is_taken(tmp_path: Any) -> None:
    page = tmp_path / "page.md"
    assert readme.read_table(page) == readme.NOTHING
    page.write_text("# Page\n\n| a |\n|---|\n| 1 |\n\ntext\n\n| b |\n")
    assert readme.read_table(page) == "| a |\n|---|\n| 1 |"
    page.write_text("# Page\n")
    with pytest.raises(ValueError, match="no table"):
        readme.read_table(page)


def test_a_text_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        readme.put_table("no markers", "| a |")


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text())


def anchors(page: Path) -> list[str]:
    """Those of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def is_there(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    other = page.parent / path if path else page
    return other.exists() and (not anchor or anchor in anchors(other))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(prose(page)) if "://" not in target]
    missing = [target for target in targets if not is_there(page, target)]
    unmade = {"docs/benchmarks.md"} if not readme.DOCUMENT.exists() else set()
    assert set(missing) <= unmade


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_heading_has_an_anchor_of_its_own(page: Path) -> None:
    found = [anchor for anchor in anchors(page) if page.name != "CHANGELOG.md"]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_of_text_are_wrapped(page: Path) -> None:
    assert [line for line in prose(page).splitlines() if len(line) > LONGEST and not line.startswith("|")] == []


def test_commands_of_make_exist_and_are_named() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*?## ", (ROOT / "Makefile").read_text(), re.M))
    named = {name for page in PAGES for name in re.findall(r"(?:^\$ |`)make ([a-z-]+)", page.read_text(), re.M)}
    assert named == targets - {"help"}


@pytest.mark.django_db(transaction=True)
def test_the_synchronous_example_runs() -> None:
    alice, bob = make_user("alice"), make_user("bob")
    exec(example("sync"), {"alice": alice, "bob": bob})
    assert set(Event.objects.values_list("stream", flat=True)) == {"site", f"user.{alice.pk}"}
    assert Notification.objects.get().recipient == alice


@pytest.mark.django_db(transaction=True)
def test_the_asynchronous_example_runs() -> None:
    alice, bob = make_user("alice"), make_user("bob")
    names: dict[str, Any] = {}
    exec(example("async"), names)
    asyncio.run(names["announce"](alice, bob))
    assert set(Event.objects.values_list("stream", flat=True)) == {"site", f"user.{alice.pk}"}


def test_the_example_of_names_runs() -> None:
    names: dict[str, Any] = {}
    exec(example("names"), names)
    user = SimpleNamespace(profile=SimpleNamespace(nickname="Al"))
    assert names["display_name"](user) == "Al"


@pytest.mark.django_db
def test_the_example_of_a_type_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from notifications import notify

    monkeypatch.setattr(types, "_types", dict(types._types))
    exec(example("types"), {})
    sent = notify(make_user("alice"), "order_sent", number="A-17")
    assert sent is not None
    assert sent.render().message == "Order A-17 has been sent"
