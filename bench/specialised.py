"""Servers for nothing but sockets, in JavaScript and in C, as contenders. They save nothing. Used by `bench.cases`.

Each has one room, whose members send to it. Where a chat frame of the others names its sender, one of nchan does not.
"""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.contenders import USERS, Contender, Options
from bench.load import write_paths
from bench.servers import ROOT, ServerFailed

PEERS = ROOT / "bench" / "peers"
NGINX_MODULES = Path("/usr/lib/nginx/modules")  # of Debian
MESSAGE = '{"type":"message","room_id":"bench","message":"@%T@#%S#","id":"%I"}'


class NodeServer(Contender):
    """A program of `bench/peers/node`, with the packages that its lock file pins."""

    program: str

    def prepare(self) -> dict[str, str]:
        install(self.workspace.directory)
        return {"NODE_ENV": "production"}

    def command(self, port: int) -> list[str]:
        program = install(self.workspace.directory) / self.program
        return [str(Path(sys.executable).with_name("node")), str(program), str(port)]


@functools.cache
def install(directory: Path) -> Path:
    """Where the programs are, with their packages: copied, so that none are in the repository. Raises ServerFailed."""
    target = directory / "node"
    shutil.copytree(PEERS / "node", target, ignore=shutil.ignore_patterns("node_modules"))
    # Node comes with the development requirements, and lies beside Python.
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = os.environ | {"PATH": search}
    done = subprocess.run(["npm", "ci"], cwd=target, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"npm ci ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return target


class Ws(NodeServer):
    name = "Node's ws"
    program = "ws.mjs"

    def connection_options(self, kind: str) -> Options:
        paths = [f"/{number}" for number in range(USERS)]
        return {
            "paths": write_paths(self.workspace.directory / "ws.txt", paths),
            "ready": '"connected"',
            "marker": '"chat"',
            "msg": MESSAGE,
        }


class SocketIO(NodeServer):
    """Over WebSocket from the beginning. A frame has the numbers of its two protocols before the JSON."""

    name = "Socket.IO"
    program = "socket_io.mjs"

    def connection_options(self, kind: str) -> Options:
        paths = [f"/socket.io/?EIO=4&transport=websocket&user={number}" for number in range(USERS)]
        return {
            "paths": write_paths(self.workspace.directory / "socket_io.txt", paths),
            "hello": "40",
            "ready": '40{"sid"',
            "marker": '"chat"',
            "msg": f'42["message",{MESSAGE}]',
        }


class Nchan(Contender):
    """nginx with its module for channels. What a client sends is not read, only passed on."""

    name = "nchan"

    @property
    def missing(self) -> str:
        is_there = shutil.which("nginx") and (NGINX_MODULES / "ngx_nchan_module.so").exists()
        return "" if is_there else "on Debian, install libnginx-mod-nchan"

    def command(self, port: int) -> list[str]:
        folder = self.workspace.directory / f"nchan-{port}"
        folder.mkdir()
        # Its worker would be another user, who cannot write there.
        user = "user root;" if os.geteuid() == 0 else ""
        text = (PEERS / "nchan.conf").read_text()
        file = folder / "nginx.conf"
        file.write_text(text.format(modules=NGINX_MODULES, user=user, directory=folder, port=port))
        return ["nginx", "-p", str(folder), "-c", str(file)]

    def connection_options(self, kind: str) -> Options:
        return {"path": "/", "marker": '"chat"', "msg": MESSAGE.replace('"message"', '"chat"', 1)}
