"""Real programs for tests: Redis, PostgreSQL, and the site as production serves it.

Each is a context manager that writes its output to a file. What is new there is printed by `show_logs`, and when a
program ends.
"""

import copy
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL, SIGQUIT, SIGTERM, Signals
from typing import Any, Self

import httpx
import psycopg
import pytest

from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
STARTUP = Path(__file__).with_name("startup")
# Where Debian has the programs of each version.
POSTGRES_BINS = os.pathsep.join(str(path) for path in Path("/usr/lib/postgresql").glob("*/bin"))
SHORT_TIMES = {
    "HEARTBEAT_SECONDS": 2,
    "HEARTBEAT_MISSES": 30,  # a client on a busy machine answers late
    "PRESENCE_LEASE_SECONDS": 6,
    "PRESENCE_GRACE_SECONDS": 1,
    "BUS_BEAT_SECONDS": 0.3,
    "RESTART_WINDOW_SECONDS": 0.5,
}
# The same few accounts log in again and again.
MANY_LOGINS = {"LOGINS_PER_MINUTE": 10_000, "LOGINS_PER_MINUTE_PER_ADDRESS": 10_000}

# Each request has a connection of its own, as from another client. `httpx.get` would load all certificates each time.
web = httpx.Client(
    timeout=PATIENCE_SECONDS,
    trust_env=False,
    transport=httpx.HTTPTransport(verify=False, limits=httpx.Limits(max_keepalive_connections=0)),
)

_running: list["Program"] = []


def python_path(*folders: Path | str) -> str:
    """The PYTHONPATH of a program: these folders, and the one of `sitecustomize`."""
    return os.pathsep.join(dict.fromkeys(map(str, [*folders, STARTUP])))


def find_binary(name: str) -> str:
    """The path of a program. If it is not installed, the test is skipped, but in CI it fails."""
    found = shutil.which(name) or shutil.which(name, path=POSTGRES_BINS)
    if found is None:
        message = f"{name} is not installed"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return found


def free_port() -> int:
    """A port that the system gives to nobody else as long as this process lives.

    Who listens on a port of its choice can do so meanwhile: servers set SO_REUSEADDR, as this socket does.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    port = int(keeper.getsockname()[1])
    keeper.detach()  # which leaves it bound
    return port


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until `condition` returns something true. Returns that."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not true after {seconds} s: {condition}")
        time.sleep(0.02)
    return answer


def show_logs() -> None:
    """Print what the running programs wrote since the last call. pytest shows it if the test has failed."""
    for program in _running:
        program.show_log()


class Program:
    """A program that a test can start again after its end, always on the same port."""

    def __init__(self, name: str, command: list[str], *, port: int, **options: Any) -> None:
        self.name = name
        self.port = port
        self.log = Path(tempfile.mkstemp(prefix=f"{name}-", suffix=".log")[1])
        self._command = command
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._shown = 0

    def __enter__(self) -> Self:
        _running.append(self)
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.show_log()
        _running.remove(self)
        self.log.unlink()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._options,
            )

    def wait_ready(self) -> None:
        wait_until(self._is_ready_or_dead)
        assert self.is_running, f"{self.name} ended at once: {self.log.read_text()}"

    def _is_ready_or_dead(self) -> bool:
        return self.is_ready() or not self.is_running

    def is_ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def peak_bytes(self) -> int:
        """The most memory that it has had since its start."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])

    def signal(self, number: Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end. Returns its exit code."""
        assert self._process is not None
        return self._process.wait(seconds)

    def stop(self, number: Signals = SIGTERM) -> int:
        self.signal(number)
        return self.wait()

    def kill(self) -> None:
        """Kill the program and its children."""
        if self._process is not None and self.is_running:
            os.killpg(self._process.pid, SIGKILL)
            self._process.wait()

    def show_log(self) -> None:
        """Print what is new in the log."""
        with self.log.open("rb") as log:
            log.seek(self._shown)
            output = log.read()
        self._shown += len(output)
        if output:
            print(f"--- {self.name} ---\n{output.decode(errors='replace')}")


class Redis(Program):
    """A Redis that saves nothing: after a restart it is empty."""

    def __init__(self, *options: str) -> None:
        port = free_port()
        command = [find_binary("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", *options]
        super().__init__("redis", command, port=port)
        self.url = f"redis://127.0.0.1:{port}/0"


class Postgres(Program):
    """A cluster in a directory of its own: a new one, or a copy of `template`.

    PostgreSQL refuses to run as root; then the user `postgres` runs it.
    """

    def __init__(self, template: Path | None = None) -> None:
        port = free_port()
        user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        self._template = template
        self._directory = Path(tempfile.mkdtemp(prefix="postgres-"))
        if user:
            shutil.chown(self._directory, **user)
        command = [find_binary("postgres"), "-D", str(self._directory), "-p", str(port), "-c", "fsync=off"]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        super().__init__("postgres", command, port=port, cwd="/", **user)
        self.url = f"postgres://postgres@127.0.0.1:{port}/postgres"

    def __enter__(self) -> Self:
        if self._template is None:
            create = [find_binary("initdb"), "-D", str(self._directory), "-U", "postgres", "-A", "trust", "-N"]
            subprocess.run([*create, "-E", "UTF8"], check=True, stdout=subprocess.DEVNULL, **self._options)
        else:
            copy_cluster(self._template, self._directory)
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        if self.is_running:
            # The same as `pg_ctl stop -m immediate`. After a SIGKILL its children would go on running.
            self.stop(SIGQUIT)
        super().__exit__()
        shutil.rmtree(self._directory)
        shutil.rmtree(self._saved, ignore_errors=True)

    @property
    def _saved(self) -> Path:
        return self._directory.with_suffix(".saved")

    def save(self) -> None:
        """Keep a copy of the cluster, which is stopped, for `restore`."""
        self.copy_to(self._saved)

    def copy_to(self, directory: Path) -> None:
        """Make this directory a copy of the cluster, which is stopped."""
        copy_cluster(self._directory, directory)

    def restore(self) -> None:
        """Go back to what was saved. The cluster is stopped."""
        shutil.rmtree(self._directory)
        self._saved.rename(self._directory)

    def is_ready(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=round(PATIENCE_SECONDS)).close()
        except psycopg.OperationalError:
            return False
        return True


def copy_cluster(source: Path, copy: Path) -> None:
    """With the owner, who has to be the one that runs PostgreSQL."""
    subprocess.run(["cp", "-a", "-T", str(source), str(copy)], check=True)


class Site:
    """One deployment: a database, maybe a Redis, and any number of processes. Has the accounts of `load_demo`."""

    def __init__(self, *, redis_url: str = "", log_level: str = "INFO", **database: str) -> None:
        self.log_level = log_level
        self.env = {
            **{name: value for name, value in os.environ.items() if name not in ("DEBUG", "REDIS_URL", "DATABASE_URL")},
            "SECRET_KEY": "for-tests-only-and-long-enough-for-the-algorithm",
            "ALLOWED_HOSTS": "127.0.0.1",
            "DJANGO_SETTINGS_MODULE": "tests.sites.settings",
            "LOG_LEVEL": log_level,
            "REALTIME_JSON": json.dumps({**SHORT_TIMES, **MANY_LOGINS}),
            "PYTHONUNBUFFERED": "1",
            "REDIS_URL": redis_url,
            **database,
        }

    def configure(self, **keys: Any) -> None:
        """Change keys of REALTIME for processes that are started later."""
        self.env["REALTIME_JSON"] = json.dumps({**json.loads(self.env["REALTIME_JSON"]), **keys})

    def varied(self, constants: dict[str, float] | None = None, **keys: Any) -> "Site":
        """The same deployment, for processes with other keys of REALTIME or other constants (`module.NAME`)."""
        site = copy.copy(self)
        site.env = {**self.env, "CONSTANTS_JSON": json.dumps(constants or {})}
        site.configure(**keys)
        return site

    def prepare(self) -> Self:
        """Create the tables, users and rooms."""
        self.run(
            "from django.core.management import call_command as c; c('migrate', verbosity=0); c('load_demo', bare=True)"
        )
        return self

    def run(self, code: str) -> str:
        """Run Python code in a process of its own, in Django's shell. Returns what it prints.

        A database that is slow to open a connection is not away.
        """
        command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", code]
        env = {**self.env, "DEBUG": "1", "POOL_SECONDS": str(PATIENCE_SECONDS)}
        done = subprocess.run(command, cwd=ROOT, env=env, check=False, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def process(self, server: str = "serve", *options: str) -> "SiteProcess":
        return SiteProcess(self, server, *options)


class SiteProcess(Program):
    """The site under one of its servers: `serve`, `uvicorn` or `runserver`."""

    def __init__(self, site: Site, server: str, *options: str) -> None:
        port, level = free_port(), site.log_level.lower()
        arguments = {
            "serve": ["manage.py", "serve", "--port", f"{port}", "--log-level", level],
            "uvicorn": ["-m", "uvicorn", "project.asgi:application", "--ws", "websockets-sansio", "--port", f"{port}"],
            "runserver": ["manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
        }[server]
        if server == "uvicorn":
            arguments += ["--log-level", level]
        super().__init__(server, [sys.executable, *arguments, *options], port=port, cwd=ROOT, env=site.env)
        self.site = site
        self.address = f"127.0.0.1:{port}"

    def rest(self, method: str, path: str, token: str | None = None, **body: Any) -> Any:
        """The JSON of a REST response, or None if it is empty. Raises for an error status."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = web.request(method, f"http://{self.address}/api/v1{path}", headers=headers, json=body or None)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def log_in(self, name: str) -> dict[str, str]:
        """The access and refresh tokens of a new login."""
        tokens: dict[str, str] = self.rest("POST", "/auth/token", username=name, password="demo")
        return tokens


def health(process: SiteProcess, path: str = "ready") -> int | None:
    """The status of a health check; None if nothing listens."""
    try:
        return web.get(f"http://{process.address}/health/{path}").status_code
    except httpx.TransportError:
        return None
