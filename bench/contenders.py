"""The servers that are measured: how each is prepared and started, and what is sent to it. Used by `bench.cases`.

There are three kinds of connections: `room` (members of one room, who also send to it), `direct` (each sends to its
partner) and `idle` (open, and send nothing).
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.load import write_paths
from bench.servers import LOAD_CORE, ROOT, SERVER_CORE, Program, Server, ServerFailed, find_free_port
from bench.workspace import Workspace

ROOM_MEMBERS = 500
USERS = 5000
UVICORN = ["--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio", "--ws-per-message-deflate", "false"]

Options = dict[str, Any]


class Contender:
    """A kind of server."""

    name: str
    directory = ROOT  # where its code is
    missing = ""  # what has to be installed for it, if it is not there

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def prepare(self) -> dict[str, str]:
        """Create databases and accounts, once. Returns the environment of the server."""
        return {}

    def command(self, port: int) -> list[str]:
        raise NotImplementedError

    def connection_options(self, kind: str) -> Options:
        """How wsload opens connections of this kind and what it sends on them."""
        raise NotImplementedError

    @contextmanager
    def running(self, processes: int = 1) -> Iterator[list[Server]]:
        """Servers that run during the block, each on its own port. Raises ServerFailed if one ends before the block."""
        environment = self.prepare()
        with ExitStack() as stack:
            servers: list[Server] = []
            for number in range(processes):
                port = find_free_port()
                log = self.workspace.directory / f"server-{number}.log"
                # A second process gets the other core, which it shares with the load generator.
                core = (SERVER_CORE, LOAD_CORE)[number % 2]
                program = Program(self.command(port), environment, self.directory)
                servers.append(Server(self.name, program, port, log, core))
                stack.callback(servers[-1].stop)
            for server in servers:
                server.wait_until_ready()
            yield servers
            for server in servers:
                server.require_alive()

    def uvicorn(self, application: str, port: int) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning", "--no-access-log"]
        return [sys.executable, "-m", "uvicorn", application, "--lifespan", "off", *where, *UVICORN]


class FastAPIManager(Contender):
    name = "FastAPI ConnectionManager"

    def command(self, port: int) -> list[str]:
        return self.uvicorn("bench.peers.fastapi_manager:app", port)

    def connection_options(self, kind: str) -> Options:
        paths = [f"/ws/{number}" for number in range(USERS)]
        return {
            "paths": write_paths(self.workspace.directory / "fastapi.txt", paths),
            "ready": '"connected"',
            "marker": '"chat"',
            "msg": '{"type":"message","room_id":"bench","message":"@%T@#%S#","id":"%I"}',
        }


class StockChannels(Contender):
    name = "stock Channels"

    def prepare(self) -> dict[str, str]:
        return self._environment

    @cached_property
    def _environment(self) -> dict[str, str]:
        environment = {
            "DJANGO_SETTINGS_MODULE": "bench.peers.stock.settings",
            "DATABASE_URL": self.workspace.create_database(),
            "REDIS_URL": self.workspace.redis_url,
            "SECRET_KEY": self.workspace.secret_key,
            "BENCH_PREFIX": f"{self.workspace.prefix}-stock",
        }
        run_python(["-m", "django", "migrate", "--run-syncdb", "--verbosity", "0"], environment)
        return environment

    def command(self, port: int) -> list[str]:
        return self.uvicorn("bench.peers.stock.asgi:application", port)

    def connection_options(self, kind: str) -> Options:
        path = "/ws/direct/{0}\t\t{1}" if kind == "direct" else "/ws/room/bench/{0}"
        paths = [path.format(number, number ^ 1) for number in range(USERS)]
        to = '"to_user_id":%D' if kind == "direct" else '"room_id":"bench"'
        return {
            "paths": write_paths(self.workspace.directory / f"stock-{kind}.txt", paths),
            "ready": '"connected"',
            "marker": '"chat"',
            "msg": f'{{"type":"message",{to},"message":"@%T@#%S#","id":"%I"}}',
        }


class Ours(Contender):
    """The product's own server: with SQLite and memory if `embedded`, else with PostgreSQL and Redis."""

    def __init__(self, workspace: Workspace, *, embedded: bool) -> None:
        super().__init__(workspace)
        self.embedded = embedded
        self.name = f"ours, {'SQLite and memory' if embedded else 'PostgreSQL and Redis'}"

    def prepare(self) -> dict[str, str]:
        return self._environment

    @property
    def _kind(self) -> str:
        return "embedded" if self.embedded else "distributed"

    @property
    def paths(self) -> Path:
        return self.workspace.directory / f"{self._kind}.txt"

    @cached_property
    def _environment(self) -> dict[str, str]:
        environment = {
            "DJANGO_SETTINGS_MODULE": "bench.settings",
            "DEBUG": "0",
            "SECRET_KEY": self.workspace.secret_key,
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "BENCH_PREFIX": f"{self.workspace.prefix}-{self._kind}",
            "BENCH_SQLITE": "",
            "DATABASE_URL": "",
            "REDIS_URL": "",
        } | self._stores()
        run_python(["manage.py", "migrate", "--verbosity", "0"], environment, self.directory)
        run_python(["-m", "bench.seed", str(USERS), str(ROOM_MEMBERS), str(self.paths)], environment, self.directory)
        return environment

    def _stores(self) -> dict[str, str]:
        if self.embedded:
            return {"BENCH_SQLITE": str(self.workspace.directory / f"{self._kind}.sqlite3")}
        return {"DATABASE_URL": self.workspace.create_database(), "REDIS_URL": self.workspace.redis_url}

    def command(self, port: int) -> list[str]:
        serve = ["manage.py", "serve", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        return [sys.executable, *serve]

    def connection_options(self, kind: str) -> Options:
        options: Options = {"paths": self.paths, "ready": '"connected"', "marker": '"chat"'}
        if kind == "room":
            options["hello"] = '{"type":"join","room_id":"bench"}'
            options["ready"] = '"joined"'
            options["msg"] = '{"type":"message","room_id":"bench","message":"@%T@#%S#","id":"%I"}'
        if kind == "direct":
            options["ack"] = '"ack"'
            options["msg"] = '{"type":"message","to_user_id":%D,"message":"@%T@#%S#","id":"%I"}'
        return options


class Earlier(Ours):
    """Our own server at an earlier commit, with today's packages. Raises ServerFailed if the commit is missing."""

    def __init__(self, workspace: Workspace, commit: str, *, embedded: bool) -> None:
        super().__init__(workspace, embedded=embedded)
        self.name = f"{commit}, {'SQLite and memory' if embedded else 'PostgreSQL and Redis'}"
        self._commit = commit

    @property
    def _kind(self) -> str:
        return f"{super()._kind}-{self._commit}"

    @cached_property
    def directory(self) -> Path:  # type: ignore[override]
        target = self.workspace.directory / self._kind
        target.mkdir()
        archive = subprocess.run(["git", "-C", str(ROOT), "archive", self._commit], capture_output=True, check=False)
        if archive.returncode:
            raise ServerFailed(f"commit {self._commit} cannot be had: {archive.stderr.decode()}")
        subprocess.run(["tar", "-x", "-C", str(target)], input=archive.stdout, check=True)
        return target


def run_python(arguments: list[str], environment: dict[str, str], directory: Path = ROOT) -> None:
    """Run a Python command with a contender's environment, in the directory of its code. Raises ServerFailed."""
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=directory, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ServerFailed(f"{' '.join(arguments)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
