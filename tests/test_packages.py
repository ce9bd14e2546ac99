"""The tree is the diagram: who may import whom, and what only one module may do."""

import ast
import functools
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
BESIDE = {"conf", "models"}  # root files that every package may import

# Which packages a package imports, no more and no less.
PACKAGES = {
    "protocol": "",
    "storage": "protocol",
    "server": "protocol",
    "auth": "protocol storage",
    "delivery": "protocol storage auth",
    "presence": "protocol storage auth delivery",
    "chat": "protocol storage auth delivery",
    "recovery": "protocol storage auth delivery chat",
    "asyncapi": "protocol",
    "api": "protocol asyncapi auth delivery presence chat",
    "sockets": "protocol storage auth delivery presence chat recovery server",
    "templatetags": "auth delivery",
    "testing": "protocol storage auth delivery presence recovery sockets",
}
# Which root files a root file imports besides those.
ROOT_FILES = {
    "": "",
    "admin": "",
    "apps": "checks signals",
    "checks": "installation",
    "conf": "",
    "consumers": "",
    "health": "",
    "installation": "",
    "integration": "",
    "manager": "",
    "models": "",
    "routing": "checks consumers health",
    "signals": "",
    "topics": "",
    "urls": "",
}
# What `notifications` uses of `realtime`: what sites use, the frames, and the seam that is made for it.
NOTIFICATIONS = {"realtime", "realtime.protocol", "realtime.integration"}

# Imports inside functions, each with its reason.
LATE = {
    ("realtime.apps", "realtime.checks"): "models can be imported once the apps are loaded",
    ("realtime.apps", "realtime.signals"): "as above",
    ("realtime.apps", "realtime.server.redaction"): "as above",
    ("realtime.models", "realtime.chat.emptying"): "it needs the models",
    ("realtime.presence", "realtime.presence.memory"): "the setting REDIS_URL chooses",
    ("realtime.presence", "realtime.presence.redis"): "as above",
    ("realtime.presence.attendance", "realtime.presence.attendance.memory"): "as above",
    ("realtime.presence.attendance", "realtime.presence.attendance.redis"): "as above",
    ("realtime.recovery.sessions", "realtime.recovery.sessions.memory"): "as above",
    ("realtime.recovery.sessions", "realtime.recovery.sessions.redis"): "as above",
    ("realtime.storage.leases", "realtime.storage.leases.memory"): "as above",
    ("realtime.storage.leases", "realtime.storage.leases.redis"): "as above",
    ("realtime.management.commands.serve", "realtime.server.process"): "uvicorn may be missing",
    ("realtime.management.commands.serve", "realtime.server.supervisor"): "as above",
    ("realtime.management.commands.serve", "realtime.server.reloader"): "as above",
    ("realtime.management.commands.open_socket", "realtime.server.terminal"): "as above",
    ("notifications.apps", "notifications.announcements.events"): "models can be imported once the apps are loaded",
    ("notifications.apps", "notifications.announcements.numbers"): "as above",
    ("notifications.apps", "notifications.announcements.publishing"): "as above",
    ("notifications.apps", "notifications.checks"): "as above",
    ("notifications.apps", "notifications.describing"): "as above",
    ("notifications.apps", "notifications.inbox"): "as above",
    ("notifications.apps", "notifications.jobs"): "as above",
    ("notifications.apps", "notifications.late_rows"): "as above",
    ("notifications.apps", "notifications.mailing.bounces"): "as above",
    ("notifications.apps", "realtime.integration"): "as above",
    ("notifications.apps", "notifications.withdrawing"): "as above",
}
IO_MODULES = {"asyncio", "threading", "socket", "channels", "redis", "uvicorn", "django", "concurrent", "logging"}
# Functions that talk to the database at once: an async function hands them to `storage.database` uncalled.
SYNCHRONOUS = {"log", "pending", "numbering", "pruning", "rooms", "history", "tickets"}
PURE = {"rooms.not_found", "rooms.too_many", "rooms.is_one_too_many"}
DATABASE_ATTRIBUTES = {"objects", "_default_manager", "_base_manager", "cursor", "atomic", "on_commit"}


class Import(NamedTuple):
    name: str  # of the module, or of a name in it
    late: bool  # inside a function


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def tree_of(name):
    return ast.parse(PATHS[name].read_text())


@functools.cache
def imports_of(name):
    """Everything that a module imports when the program runs, `from a import b` as `a` and `a.b`."""
    tree = tree_of(name)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    late = {id(inner) for function in functions for inner in ast.walk(function)}
    for_types = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    left_out = {id(inner) for node in for_types for inner in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        names = []
        if id(node) in left_out:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {Import(name, id(node) in late) for name in names}
    return found


APPS = ("realtime", "notifications")
PATHS = {name_of(path): path for app in APPS for path in ROOT.glob(f"{app}/**/*.py") if "migrations" not in path.parts}
REALTIME = sorted(name for name in PATHS if name.partition(".")[0] == "realtime")


def room_of(module):
    """The package or root file of `realtime` that a module is in; "" for `realtime` itself."""
    return [*module.split("."), ""][1]


def modules_of(name):
    """The modules of both apps that a module imports; a package only where nothing in it is named."""
    found = {found.name for found in imports_of(name)} & set(PATHS) - {name}
    return {one for one in found if not any(other.startswith(one + ".") for other in found)}


def edges():
    """Packages and root files of `realtime`, each with those that it imports."""
    found = defaultdict(set)
    for name in REALTIME:
        found[room_of(name)] |= {room_of(other) for other in modules_of(name) if other.startswith("realtime")}
    return {room: others - {room} for room, others in found.items() if room != "management"}


def is_within(name, parents):
    return any(name == parent or name.startswith(parent + ".") for parent in parents)


def importers_of(*parents):
    return {name for name in PATHS for found in imports_of(name) if is_within(found.name, parents)}


def names_of(tree):
    loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return loaded | {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_it_has_these_packages_and_root_files_and_no_others():
    assert {room_of(name) for name in REALTIME} == {*PACKAGES, *ROOT_FILES, "management"}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_these_packages_and_no_others(package):
    assert edges()[package] - BESIDE == set(PACKAGES[package].split())


@pytest.mark.parametrize("file", ROOT_FILES)
def test_a_root_file_imports_packages_and_these_root_files(file):
    assert edges()[file] - BESIDE - set(PACKAGES) - {""} == set(ROOT_FILES[file].split())


def test_notifications_uses_what_is_made_for_it():
    modules = [name for name in PATHS if name.startswith("notifications")]
    named = {found.name for name in modules for found in imports_of(name) if is_within(found.name, ["realtime"])}
    used = {".".join(name.split(".")[:2]) for name in named}
    assert {name if name in PATHS else "realtime" for name in used} == NOTIFICATIONS


def test_realtime_knows_no_other_app():
    assert {name for name in importers_of("notifications", "project", "tests") if name.startswith("realtime")} == set()


def test_it_imports_late_only_where_there_is_a_reason():
    late = {(name, found.name) for name in PATHS for found in imports_of(name) if found.late and found.name in PATHS}
    apart = {pair for pair in late if not any(other.startswith(pair[1] + ".") for _, other in late)}
    assert apart == set(LATE)


def test_it_has_no_circles():
    graph = {name: {other for other in modules_of(name) if (name, other) not in LATE} for name in PATHS}
    assert len(list(TopologicalSorter(graph).static_order())) == len(PATHS)


@pytest.mark.parametrize("name", [name for name in REALTIME if room_of(name) == "protocol"])
def test_the_protocol_is_pure(name):
    assert {found.name for found in imports_of(name) if is_within(found.name, IO_MODULES)} == set()


def test_it_reads_the_sites_settings_in_one_place():
    # The models name AUTH_USER_MODEL the way that migrations and type checkers know.
    readers = {
        name for name in importers_of("django.conf") - importers_of("django.conf.urls") if name.startswith("realtime")
    }
    assert readers == {"realtime.conf", "realtime.models"}
    settings = [node for node in ast.walk(tree_of("realtime.models")) if isinstance(node, ast.Attribute)]
    assert {n.attr for n in settings if isinstance(n.value, ast.Name) and n.value.id == "settings"} == {
        "AUTH_USER_MODEL"
    }


def test_it_talks_to_the_channel_layer_in_one_place():
    assert importers_of("channels.layers", "channels_redis") == {"realtime.delivery.bus"}


def test_it_names_no_database_but_the_one_that_the_routers_name():
    assert importers_of("django.db.connection", "django.db.DEFAULT_DB_ALIAS") == set()
    # Rules are part of transactions in the databases of the site's own objects.
    rules = {"notifications.rules.bulk", "notifications.rules.signals"}
    assert importers_of("django.db.transaction") - rules == {"realtime.storage.transactions"}


def test_it_writes_events_in_one_place():
    writers = {name for name in REALTIME if "Event" in names_of(tree_of(name))} - importers_of("asyncio.Event")
    assert writers == {"realtime.storage.log", "realtime.storage.pending"}  # and the models, which only declare it


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


@pytest.mark.parametrize("name", sorted(PATHS))
def test_it_touches_the_database_on_database_threads_only(name):
    functions = [node for node in ast.walk(tree_of(name)) if isinstance(node, ast.AsyncFunctionDef)]
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
