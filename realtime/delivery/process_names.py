"""The name of a process for other processes, which says where it runs. Made by the hub, read by `presence.live`."""

import os
import re
import secrets
import socket
from typing import NamedTuple

MAX_HOST_CHARS = 64
_parts = re.compile(r"(.+)-(\d+)-[0-9a-f]+\Z").match


class ProcessName(NamedTuple):
    """What a name says."""

    host: str
    pid: int  # 0 if the name does not say it


def name_process() -> str:
    """A name that is never used again, not even by the same process: `<host>-<pid>-<random>`."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:MAX_HOST_CHARS] or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(8)}"


def read_name(name: str) -> ProcessName:
    """The parts of a name. A name of another form, as in tests, is all host."""
    parts = _parts(name)
    return ProcessName(parts[1], int(parts[2])) if parts else ProcessName(name, 0)
