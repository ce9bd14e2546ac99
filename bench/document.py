"""Writes `docs/benchmarks.md`: what was measured, on which machine, and the results. Called by `bench.run`."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psycopg
import redis

from bench.announcing import ONLINE, USERS
from bench.cases import WARM_UP_CONNECTIONS, Bench
from bench.report import HEAD, load_rows, markdown_table
from bench.returning import MISSED
from bench.seed import CROWD
from bench.servers import LOAD_CORE, ROOT, SERVER_CORE
from bench.workspace import POSTGRES_URL, REDIS_URL

PACKAGES = ("django", "channels", "channels-redis", "uvicorn", "uvloop", "httptools", "websockets", "msgspec")
PEER_PACKAGES = ("fastapi", "psycopg", "redis", "hiredis")
PAGE = ROOT / "bench" / "page.md"
LOAD_HEAD = ("load", "server", "deliveries/s", "acks/s", "p50 µs", "p99 µs", "p99.9 µs", "generator's core")


def write_document(bench: Bench, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    text = PAGE.read_text().format(
        date=datetime.now(UTC).date(),
        findings=markdown_table(HEAD, [finding.cells() for finding in bench.findings]),
        repeat=bench.repeat,
        quick=", shortened by `--quick`" if bench.quick else "",
        failures=failure_text(bench.failures),
        server_core=SERVER_CORE,
        load_core=LOAD_CORE,
        idle=f"{bench.idle_connections:,}",
        warm=WARM_UP_CONNECTIONS,
        crowd=CROWD,
        missed=MISSED,
        users=USERS,
        online=ONLINE,
        loads=markdown_table(LOAD_HEAD, load_rows(bench.measurements)),
        machine="\n".join(f"- {name}: {value}" for name, value in machine().items()),
    )
    file.write_text(text)


def failure_text(failures: list[str]) -> str:
    if not failures:
        return "No connection failed, and no delivery was lost or doubled."
    return "\n".join(["**Failures:**", "", *(f"- {failure.splitlines()[0]}" for failure in failures)])


def machine() -> dict[str, str]:
    """What the results depend on: hardware, system and versions."""
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "servers": ", ".join(f"{name} {installed(name)}" for name in PACKAGES),
        "peers and clients": ", ".join(f"{name} {installed(name)}" for name in PEER_PACKAGES),
        "PostgreSQL": postgres_version(),
        "Redis": redis_version(),
        "ours": our_version(),
    }


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def postgres_version() -> str:
    with psycopg.connect(POSTGRES_URL) as connection:
        settings = ("server_version", "synchronous_commit", "fsync")
        rows = [
            connection.execute("SELECT current_setting(%s)", [name]).fetchone() or ("unknown",) for name in settings
        ]
        values = [row[0] for row in rows]
    return f"{values[0]} (synchronous_commit {values[1]}, fsync {values[2]})"


def redis_version() -> str:
    with redis.Redis.from_url(REDIS_URL) as client:
        return str(client.info("server")["redis_version"])


def our_version() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--tags"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
