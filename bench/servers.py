"""Starts a server process on one core, waits until it listens, measures its memory and stops it.

Used by `bench.contenders` and the cases.
"""

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVER_CORE = 0
LOAD_CORE = 1
START_SECONDS = 60
STOP_SECONDS = 30  # longer than our own server's drain
LOG_LINES = 40


class ServerFailed(Exception):
    """A server did not start or died. The text ends with the tail of its log."""


@dataclass(frozen=True)
class Program:
    """What to run; `environment` is added to our own."""

    command: list[str]
    environment: dict[str, str]
    directory: Path = ROOT


class Server:
    """One process (and its children) listening on a port of its own."""

    def __init__(self, name: str, program: Program, port: int, log: Path, core: int = SERVER_CORE) -> None:
        self.name = name
        self.port = port
        self._program = program
        self._log = log
        self._core = core
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as output:
            return subprocess.Popen(
                ["taskset", "-c", str(self._core), *self._program.command],
                cwd=self._program.directory,
                env=os.environ | self._program.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def restart(self) -> None:
        """Restart as a supervisor does: start a new process after the old one has ended. Raises ServerFailed."""
        self.stop()
        self._process = self._start()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not is_listening(self.port):
            self.require_alive()
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.name} did not listen after {START_SECONDS} s\n{self.tail()}")
            time.sleep(0.1)

    def require_alive(self) -> None:
        code = self._process.poll()
        if code is not None:
            raise ServerFailed(f"{self.name} ended by itself with {code}\n{self.tail()}")

    def resident_bytes(self) -> int:
        return sum(read_resident_bytes(pid) for pid in process_tree(self._process.pid))

    def stop(self) -> None:
        """End the process and its children. Whatever still runs after STOP_SECONDS is killed."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal_group(signal.SIGKILL)
            self._process.wait()
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # all processes have ended
            os.killpg(self._process.pid, number)

    def tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_LINES:])


def find_free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def process_tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in process_tree(int(child)))]


def read_resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
