"""How `serve --reload` starts the site again when one of its files changes: for development. Called by `serve`.

The parent watches the files and keeps the port. So a site that does not start, because of a mistake in its code, does
not end the server, and a request that comes meanwhile waits.
"""

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from types import FrameType

import uvicorn
from uvicorn.supervisors.basereload import BaseReload

from realtime.server.early_signals import interrupts_held_back
from realtime.server.process import WorkerServer

logger = logging.getLogger("uvicorn.error")

POLL_SECONDS = 0.5
# What the site is made of, wherever it is; templates may have any name.
CODE = (".py", ".mo")
FOREIGN = {"node_modules", "__pycache__"}

Times = dict[Path, int]


@dataclass(frozen=True, slots=True)
class Watched:
    """Directories, with all in them that is not hidden."""

    code: Iterable[Path]
    templates: Iterable[Path]

    def look(self) -> Times:
        """When each file was last changed, in nanoseconds."""
        found: Times = {}
        for folders, suffixes in ((self.code, CODE), (self.templates, ("",))):
            for path in _walk(folders, suffixes):
                try:
                    found[path] = path.stat().st_mtime_ns
                except OSError:  # it has been deleted at this moment
                    continue
        return found


def _walk(folders: Iterable[Path], suffixes: tuple[str, ...]) -> Iterator[Path]:
    for folder in folders:
        for directory, inner, names in os.walk(folder):
            if "pyvenv.cfg" in names:  # an environment of Python has thousands of files, and none is the site's
                inner.clear()
                continue
            inner[:] = [name for name in inner if name not in FOREIGN and not name.startswith(".")]
            # Editors write hidden files beside those that are edited.
            yield from (Path(directory, name) for name in names if name.endswith(suffixes) and not name.startswith("."))


class ReloadedServer(WorkerServer):
    """The site until the next change. It breaks its connections.

    A goodbye would ask clients to come back within RESTART_WINDOW_SECONDS; without one they come back at once.
    """

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Whatever the signal, nobody is asked to come back: see above."""
        self.stop_soon()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        self.stops_at = None  # nobody gets the answers of requests that still run
        await super().shutdown(sockets)


class Reloader(BaseReload):
    """Runs a `ReloadedServer` in a process of its own, and starts another one after each change."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket], watched: Watched) -> None:
        config.reload_delay = POLL_SECONDS
        super().__init__(config, ReloadedServer(config).run, sockets)
        self.reloader_name = "serve --reload"
        self._watched = watched
        self._known = watched.look()
        self._is_dead = False  # the site has not started, and that has been logged

    def startup(self) -> None:
        with interrupts_held_back():
            super().startup()

    def should_restart(self) -> list[Path] | None:
        """uvicorn calls this again and again. Returns the files that have been changed, added or deleted."""
        self.pause()
        before, self._known = self._known, self._watched.look()
        changed = [path for path, _ in before.items() ^ self._known.items()]
        if not changed and not self._is_dead and not self.process.is_alive():
            self._is_dead = True
            logger.error("The site has ended. It will be started again when one of its files changes.")
        return sorted(set(changed)) or None

    def restart(self) -> None:
        self._is_dead = False
        with interrupts_held_back():
            super().restart()
