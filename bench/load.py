"""Runs the load generators, pinned to their core, and decodes their output. Used by the cases.

`wsload` is written in C, and compiled again when its source is newer; `bench.returning` is written in Python.
"""

import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bench.servers import LOAD_CORE, ROOT

SOURCE = ROOT / "bench" / "wsload.c"
BINARY = ROOT / "bench" / "bin" / "wsload"
PONG = '{"type":"pong"}'


class LoadFailed(Exception):
    """The load generator failed. The text contains its output."""


class Latency(msgspec.Struct, frozen=True):
    """Microseconds."""

    p50: int
    p90: int
    p99: int
    p999: int
    max: int


class Result(msgspec.Struct, frozen=True):
    """What wsload prints. `expected` is 0 if no fan-out was given."""

    connections: int
    ready: int
    errors: int
    closed: int
    connects_per_second: float
    connect_us: Latency
    sent: int
    deliveries: int
    expected: int
    acks: int
    refused: int
    seconds: float
    deliveries_per_second: float
    acks_per_second: float
    delivery_us: Latency
    ack_us: Latency
    cpu_seconds: float
    stalled: bool

    @property
    def busy(self) -> float:
        """The share of its core that the generator used. Near 1, the generator was the limit, not the server."""
        return self.cpu_seconds / self.seconds if self.seconds else 0.0

    def complaints(self) -> list[str]:
        """What went wrong, as texts. Slow results are not complaints."""
        found = {
            f"{self.connections - self.ready} of {self.connections} connections not ready": self.ready
            != self.connections,
            f"{self.closed} connections closed by the server": self.closed,
            f"{self.errors} connections failed": self.errors,
            f"{self.refused} messages refused": self.refused,
            f"{self.deliveries} deliveries of {self.expected}": self.deliveries != self.expected,
            f"stalled after {self.sent} messages": self.stalled,
        }
        return [text for text, wrong in found.items() if wrong]


class Outcome(msgspec.Struct, frozen=True):
    """What `bench.returning` prints. `seconds`: how long each client was away, sorted. `written`: acked messages."""

    clients: int
    back: int
    seconds: list[float]
    written: int
    expected: int  # events that the clients must have received
    received: int
    lost: int
    twice: int


def compile_generator() -> None:
    if BINARY.exists() and BINARY.stat().st_mtime > SOURCE.stat().st_mtime:
        return
    BINARY.parent.mkdir(exist_ok=True)
    subprocess.run(["cc", "-O2", "-o", str(BINARY), str(SOURCE)], check=True)


def arguments(ports: list[int], options: dict[str, Any]) -> list[str]:
    given = {"port": ",".join(map(str, ports)), "pong": PONG, **options}
    pairs = [(f"--{name}", str(value)) for name, value in given.items()]
    return ["taskset", "-c", str(LOAD_CORE), str(BINARY), *(text for pair in pairs for text in pair)]


@functools.cache
def first() -> list[str]:
    """What lets a program go before all others on its core. Empty where that is not allowed: mostly, only root may."""
    command = ["chrt", "--fifo", "1"]
    done = subprocess.run([*command, "true"], stderr=subprocess.DEVNULL, check=False)
    return [] if done.returncode else command


def run_load(ports: list[int], options: dict[str, Any], *, goes_first: bool = False) -> Result:
    """`goes_first`: what shares the core does not keep the generator waiting, which stands for clients elsewhere."""
    command = [*(first() if goes_first else []), *arguments(ports, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stderr:
        print(done.stderr, end="", file=sys.stderr)
    if not done.stdout:
        raise LoadFailed(f"wsload ended with {done.returncode}: {done.stderr}")
    return msgspec.json.decode(done.stdout, type=Result)


@contextmanager
def held_connections(ports: list[int], options: dict[str, Any]) -> Iterator[int]:
    """Keep connections open and idle during the block. Yields how many became ready."""
    command = arguments(ports, {**options, "count": 0, "hold": 600})
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        yield read_holding(process)
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def listeners(ports: list[int], options: dict[str, Any]) -> Iterator[Callable[[], Result]]:
    """Keep connections open for `hold` seconds, which send nothing. Yields a function that waits for the result.

    Frames with the `marker` and the moment at which they were made are deliveries.
    """
    command = arguments(ports, {**options, "count": 0})
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:

        def finish() -> Result:
            said, complaint = process.communicate()
            if not said:
                raise LoadFailed(f"wsload ended with {process.returncode}: {complaint}")
            return msgspec.json.decode(said, type=Result)

        try:
            read_holding(process)
            yield finish
        finally:
            process.kill()


def read_holding(process: subprocess.Popen[str]) -> int:
    said = []
    for line in process.stderr or ():
        if line.startswith("holding "):
            return int(line.split()[1])
        said.append(line)
    raise LoadFailed(f"wsload did not hold: {''.join(said)}")


@contextmanager
def returning_crowd(case: str, port: int, paths: Path, count: int) -> Iterator[subprocess.Popen[str]]:
    """Run `bench.returning` on the generator's core; kill it at the end of the block."""
    program = [sys.executable, "-m", "bench.returning", case, str(port), str(paths), str(count)]
    command = ["taskset", "-c", str(LOAD_CORE), *program]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def read_outcome(process: subprocess.Popen[str]) -> Outcome:
    """Wait for the end of `bench.returning`. Raises LoadFailed."""
    said, complaint = process.communicate()
    if process.returncode:
        raise LoadFailed(f"the crowd ended with {process.returncode}: {complaint}")
    return msgspec.json.decode(said.splitlines()[-1], type=Outcome)


def write_paths(file: Path, lines: list[str]) -> Path:
    file.write_text("".join(f"{line}\n" for line in lines))
    return file
