"""The tree is the diagram: imports go down, and what only one module may do only that one does."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = {
    "L0": "protocol decoding dialects conf errors frames limits ordering origins progress topics",
    "L1": "models sql log bus cancellation database tokens tickets users redis_client presence presence.store"
    " presence.memory presence.redis presence.scripts sessions sessions.store sessions.memory sessions.redis"
    " leases leases.store leases.memory leases.redis",
    "L2": "connection registry batches fanout feed hub delivery portal auth pulse presence.tracker presence.announcer"
    " presence.audience",
    "L3": "rooms reads rights parting chat access direct history resume sessions.keeper retention ticker typists node"
    " manager",
    "L4": "consumers room_sockets greeting intake answers commands subscriptions reader views views.auth views.members"
    " views.messages views.presence views.rooms views.schema serializers urls admin routing health apps checks signals"
    " authentication throttles api_errors management.commands.serve management.commands.prune_events",
    "beside": "server http_server supervisor redaction",
}
LAYER_OF = {f"realtime.{name}": layer for layer, names in LAYERS.items() for name in names.split()}
UNLAYERED = {"realtime", "realtime.management", "realtime.management.commands"}  # what site code imports; packages
# What stands beside the layers knows the wire and its like alone, and is known to the edges alone.
BELOW = {"beside": ("L0", "beside")} | {f"L{n}": tuple(f"L{level}" for level in range(n + 1)) for n in range(4)}
BELOW["L4"] = (*BELOW["L3"], "L4", "beside")

# Imports that wait for their function to be called: a choice that a setting makes, and names that need loaded models.
LATE = {
    ("realtime", "realtime.delivery.publishing"),
    ("realtime.presence.store", "realtime.presence.memory"),
    ("realtime.presence.store", "realtime.presence.redis"),
    ("realtime.recovery.sessions.store", "realtime.recovery.sessions.memory"),
    ("realtime.recovery.sessions.store", "realtime.recovery.sessions.redis"),
    ("realtime.storage.leases.store", "realtime.storage.leases.memory"),
    ("realtime.storage.leases.store", "realtime.storage.leases.redis"),
    ("realtime.apps", "realtime.checks"),
    ("realtime.apps", "realtime.server.redaction"),
    ("realtime.apps", "realtime.signals"),
    ("realtime.apps", "realtime.auth.tokens"),
}
IO_MODULES = {"asyncio", "threading", "socket", "channels", "redis", "uvicorn", "django.db", "concurrent", "logging"}
# Verbs that talk to the database at once: an async function hands them to `realtime.database` uncalled.
SYNCHRONOUS = {"log", "rooms", "history", "tickets"}
PURE = {"rooms.not_found", "rooms.too_many", "rooms.is_one_too_many"}
DATABASE_ATTRIBUTES = {"objects", "_default_manager", "_base_manager", "cursor", "atomic", "on_commit"}


class Import(NamedTuple):
    name: str  # of the module, or of a name in it
    late: bool  # inside a function


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = {name_of(path): path for path in ROOT.glob("realtime/**/*.py") if "migrations" not in path.parts}
TREES = {name: ast.parse(path.read_text()) for name, path in PATHS.items()}


def imports_of(tree):
    """Everything that is imported, `from a import b` as `a` and `a.b`."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    late = {id(inner) for function in functions for inner in ast.walk(function)}
    found = set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {Import(name, id(node) in late) for name in names}
    return found


IMPORTS = {name: imports_of(tree) for name, tree in TREES.items()}


def modules_of(name):
    """Modules of the app that a module imports."""
    return {found.name for found in IMPORTS[name] if found.name in LAYER_OF and found.name != name}


def is_within(name, parents):
    return any(name == parent or name.startswith(parent + ".") for parent in parents)


def importers_of(*parents):
    return {name for name in IMPORTS for found in IMPORTS[name] if is_within(found.name, parents)}


def names_of(tree):
    loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return loaded | {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_it_knows_the_layer_of_every_module():
    assert set(PATHS) - UNLAYERED == set(LAYER_OF)


@pytest.mark.parametrize("name", sorted(LAYER_OF))
def test_it_says_its_layer_in_its_docstring(name):
    said = re.search(r"\((L\d)|(beside) the layers", " ".join((ast.get_docstring(TREES[name]) or "").split()))
    assert said is not None
    assert LAYER_OF[name] in said.groups()


@pytest.mark.parametrize("name", sorted(LAYER_OF))
def test_it_imports_downwards(name):
    allowed = BELOW[LAYER_OF[name]]
    assert {other: LAYER_OF[other] for other in modules_of(name) if LAYER_OF[other] not in allowed} == {}


def test_it_imports_late_only_where_there_is_a_reason():
    late = {(name, found.name) for name in IMPORTS for found in IMPORTS[name] if found.late}
    assert {(name, other) for name, other in late if other in LAYER_OF} <= LATE


def test_it_has_no_circles():
    graph = {name: {other for other in modules_of(name) if (name, other) not in LATE} for name in LAYER_OF}
    assert len(list(TopologicalSorter(graph).static_order())) == len(LAYER_OF)


def test_it_stands_below_the_other_apps():
    assert importers_of("notifications", "project", "tests") == set()


@pytest.mark.parametrize("name", LAYERS["L0"].split())
def test_it_does_nothing_outside_itself_at_the_bottom(name):
    forbidden = IO_MODULES if name == "conf" else IO_MODULES | {"django"}
    assert {found.name for found in IMPORTS[f"realtime.{name}"] if is_within(found.name, forbidden)} == set()


def test_it_reads_the_sites_settings_in_one_place():
    # The models name AUTH_USER_MODEL the way that migrations and type checkers know.
    assert importers_of("django.conf") == {"realtime.conf", "realtime.models"}
    settings = [node for node in ast.walk(TREES["realtime.models"]) if isinstance(node, ast.Attribute)]
    assert {n.attr for n in settings if isinstance(n.value, ast.Name) and n.value.id == "settings"} == {
        "AUTH_USER_MODEL"
    }


def test_it_talks_to_the_channel_layer_in_one_place():
    assert importers_of("channels.layers", "channels_redis") == {"realtime.delivery.bus"}


def test_it_writes_events_in_one_place():
    assert {name for name, tree in TREES.items() if "Event" in names_of(tree)} - {"realtime.admin"} <= {
        "realtime.storage.log",
        "realtime.models",
        *importers_of("asyncio.Event"),
    }


def own_nodes(function):
    """What runs on the event loop when an async function does: not what it defines for others to call."""
    waiting = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def touches_database(node):
    if isinstance(node, ast.Attribute) and node.attr in DATABASE_ATTRIBUTES:
        return True
    if not isinstance(node, ast.Call):
        return False
    module, _, verb = ast.unparse(node.func).partition(".")
    return module in SYNCHRONOUS and bool(verb) and f"{module}.{verb}" not in PURE


@pytest.mark.parametrize("name", sorted(TREES))
def test_it_touches_the_database_on_database_threads_only(name):
    functions = [node for node in ast.walk(TREES[name]) if isinstance(node, ast.AsyncFunctionDef)]
    lines = {node.lineno for function in functions for node in own_nodes(function) if touches_database(node)}
    assert lines == set()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("await run(log.missed, 'site', 0, 9)", False),
        ("def job():\n  Room.objects.get()\n await run(job)", False),
        ("log.missed('site', 0, 9)", True),
        ("await Room.objects.aget()", True),
        ("with transaction.atomic():\n  pass", True),
    ],
)
def test_it_would_notice_the_database_on_the_loop(body, found):
    function = ast.parse(f"async def work():\n {body}").body[0]
    assert any(touches_database(node) for node in own_nodes(function)) == found
