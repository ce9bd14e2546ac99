"""docs/reference.md names every function, command and check, and nothing that does not exist; so do other pages."""

import inspect
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from drf_spectacular.generators import SchemaGenerator

import notifications
import notifications.testing
import realtime
import realtime.testing
from bench.servers import ROOT
from realtime import checks
from realtime.management.commands.serve import Command as Serve
from realtime.manager import Manager

OURS = ("realtime", "notifications", "project")
PAGES = {page.name: page.read_text() for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]}
REFERENCE = PAGES["reference.md"]
PAGES_FOR_PYTHON = ("README.md", "celery.md", "deployment.md", "notifications.md", "reference.md", "testing.md")
TABLE = re.compile(r"^\| `?([\w. ]+)`? \| .*\n\|---.*\n((?:\|.*\n)+)", re.M)
TABLES = {head: rows.splitlines() for head, rows in TABLE.findall(REFERENCE)}
CODE = re.compile(r"`([^`]+)`")
CHECK = re.compile(rf"\b(?:{'|'.join(OURS)})\.[EW]\d{{3}}\b")


def cells(table: str) -> Iterator[tuple[str, str]]:
    """The two cells of each row."""
    for row in TABLES[table]:
        first, second = re.split(r"(?<!\\)\|", row.strip("|\n"))
        yield first, second


def functions(table: str) -> dict[str, bool]:
    """The functions of a table, and whether each has a twin."""
    found = {}
    for first, _ in cells(table):
        for code, mark in re.findall(r"`(\w+)(?:\([^`]*\))?`( ¹)?", first):
            found[code] = not mark
    return found


@pytest.mark.parametrize("package", [realtime, notifications])
def test_a_shell_completes_every_function(package: Any) -> None:
    assert {*package.__all__, "__doc__"} <= {*dir(package)}


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("realtime", realtime.__all__),
        ("notifications", notifications.__all__),
        ("realtime.manager.manager", [name for name in dir(Manager) if not name.startswith("_")]),
    ],
)
def test_it_has_every_function_and_says_which_have_a_twin(table: str, names: list[str]) -> None:
    twins = {name for name in names if name[:1] == "a" and name[1:] in names}
    assert functions(table) == {name: f"a{name}" in twins for name in names if name not in twins}


@pytest.mark.django_db
def test_paths_that_pages_name_can_be_imported() -> None:
    """Permissions and system checks have names of the same form."""
    permissions = {f"{one.content_type.app_label}.{one.codename}" for one in Permission.objects.all()}
    paths = {
        (name, path)
        for name in PAGES_FOR_PYTHON
        for path in re.findall(r"`((?:realtime|notifications)(?:\.[A-Za-z_]\w*)+)`", PAGES[name])
        if not CHECK.fullmatch(path) and path not in permissions
    }
    assert {found for found in paths if not can_be_imported(found[1])} == set()


def can_be_imported(path: str) -> bool:
    try:
        pkgutil.resolve_name(path)
    except (AttributeError, ImportError):
        return False
    return True


def test_the_page_about_tests_has_every_function_for_them() -> None:
    prose = re.sub(r"^```.*?^```", "", PAGES["testing.md"], flags=re.M | re.S)
    names = set(re.findall(r"\w+", " ".join(CODE.findall(prose))))
    assert {*realtime.testing.__all__, *notifications.testing.__all__} <= names


def commands() -> dict[str, BaseCommand]:
    loaded = {name: load_command_class(app, name) for name, app in get_commands().items() if app in OURS}
    return {name: command for name, command in loaded.items() if command.__module__.split(".")[0] in OURS}


def options(command: BaseCommand, name: str) -> set[str]:
    """Those of the command, without those that all commands have."""
    common = BaseCommand().create_parser("manage.py", "")
    taken = {option for action in common._actions for option in action.option_strings}
    parser = command.create_parser("manage.py", name)
    return {option for action in parser._actions for option in action.option_strings} - taken


def test_it_has_every_command_with_all_options() -> None:
    expected: dict[str, set[str]] = {name: options(command, name) for name, command in commands().items()}
    listed: dict[str, set[str]] = {}
    for first, second in cells("manage.py"):
        names = [code.split()[0] for code in CODE.findall(first)]
        named = set(re.findall(r"`(--[a-z-]+)`", second))
        assert named == set().union(*(expected[name] for name in names)), names
        listed |= dict.fromkeys(names, named)
    assert listed.keys() == expected.keys()


def test_commands_that_pages_name_exist() -> None:
    named = {name for page in PAGES.values() for name in re.findall(r"manage\.py ([a-z_]+)", page)}
    assert named <= get_commands().keys()


def test_it_has_every_check() -> None:
    sources = [path.read_text() for app in OURS for path in (ROOT / app).rglob("*.py")]
    raised = {check for source in sources for check in re.findall(r'id="([\w.]+)"', source) if CHECK.fullmatch(check)}
    listed = [CODE.findall(first)[0] for first, _ in cells("id")]
    assert sorted(listed) == sorted(raised)
    for name, page in PAGES.items():
        assert set(CHECK.findall(page)) <= raised, name


def test_it_says_which_errors_keep_the_site_from_starting() -> None:
    assert Serve.requires_system_checks == "__all__"
    needed = re.findall(r"\bcheck_\w+", inspect.getsource(checks.require_startable))
    sources = [inspect.getsource(getattr(checks, name)) for name in needed]
    ids = {found for source in sources for found in re.findall(r'id="([\w.]+)"', source)}
    marked = {CODE.findall(first)[0] for first, _ in cells("id") if "²" in first}
    assert marked == ids


def test_permissions_of_our_own_are_on_a_page() -> None:
    text = "\n".join(page for name, page in PAGES.items() if name != "CHANGELOG.md")
    models: list[Any] = [model for app in OURS[:2] for model in apps.get_app_config(app).get_models()]
    permissions = {name for model in models for name, _ in model._meta.permissions}
    assert permissions
    assert {name for name in permissions if name not in text} == set()


def test_the_page_about_deployment_has_every_variable() -> None:
    sources = [(ROOT / name).read_text() for name in ("project/settings.py", "realtime/conf.py")]
    read = set(re.findall(r'(?:environ\.get|env_flag|env_list)\("(\w+)"', "\n".join(sources)))
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \|", PAGES["deployment.md"], re.M)
    assert {name for row in rows for name in CODE.findall(row)} == read


def test_the_protocol_has_every_operation_of_the_rest_api_with_its_parameters() -> None:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    found = {
        (method, address_of(path)): {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
        - {"format"}  # REST framework's own
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    listed: dict[tuple[str, str], set[str]] = {}
    for cell in re.findall(r"^\| (`[A-Z, ]+ /[^|]+) \|", PAGES["protocol.md"], re.M):
        for methods, path, query in re.findall(r"`([A-Z, ]+) ([^`?]+)\??([^`]*)`", cell):
            for method in methods.lower().split(", "):
                listed.setdefault((method, address_of(path)), set()).update(re.findall(r"(\w+)=", query))
    acts = {("post", address_of(f"/api/v1/announcements/{{id}}/{act}")) for act in ("read", "dismiss", "confirm")}
    listed |= {act: set() for act in acts}
    pages = {(method, address_of("/api/v1/notifications/unsubscribe/{token}")) for method in ("get", "post")}
    assert listed.keys() - pages == found.keys()
    assert {key: listed[key] for key in found if listed[key] != found[key]} == {}


def address_of(path: str) -> str:
    """Parameters have other names in the document than on the page."""
    return re.sub(r"\{\w+\}", "{}", path)
