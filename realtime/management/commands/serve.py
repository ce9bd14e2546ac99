"""`manage.py serve`: the production launcher (L4). uvicorn with our socket, uvloop and httptools."""

import argparse
import math
import os
import sys
import time
from signal import SIGINT, SIGTERM
from types import FrameType
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand, CommandError
from uvicorn.supervisors import Multiprocess

from realtime.checks import check_workers
from realtime.conf import asgi_application_path, settings, worker_count
from realtime.node import get_node
from realtime.redaction import LOGGING

FINISH_SECONDS = 10  # from the last close frame to the end: peers answer it, and what is waiting is stored


class Command(BaseCommand):
    help = "Serve the site, HTTP and sockets."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--workers", type=int, default=worker_count(), help="processes; more than one needs REDIS_URL"
        )
        parser.add_argument(
            "--graceful-timeout",
            type=float,
            default=settings().restart_window_seconds + FINISH_SECONDS,
            help="seconds to finish after SIGTERM; more than REALTIME['RESTART_WINDOW_SECONDS']",
        )
        parser.add_argument("--log-level", default="warning", choices=["debug", "info", "warning", "error"])
        parser.add_argument("--access-log", action="store_true", help="log each request, without its query")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["workers"] < 1:
            raise CommandError("--workers must be at least 1.")
        if options["graceful_timeout"] <= (window := settings().restart_window_seconds):
            raise CommandError(f"--graceful-timeout must be more than the {window:g} s over which sockets are closed.")
        for warning in check_workers(workers=options["workers"]):
            self.stderr.write(self.style.WARNING(str(warning)))
        config = make_config(options)
        self.stdout.write(f"Serving on http://{options['host']}:{options['port']} (Ctrl-C stops)")
        self.stdout.flush()
        if options["workers"] > 1:
            Workers(config, sockets=[config.bind_socket()]).run()
        else:
            Server(config).run()


class Server(uvicorn.Server):
    """uvicorn's, but a stop that was asked for is a success: the signal is not raised again afterwards."""

    async def serve(self, sockets: Any = None) -> None:
        with self.capture_signals():
            await self._serve(sockets)
            self._captured_signals.clear()
        if not self.started:
            sys.exit(3)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            os._exit(128 + sig)  # `force_exit` would still wait for what the threads are doing
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: Any = None) -> None:
        get_node().part()  # uvicorn tells it to each socket; there may be none
        await super().shutdown(sockets)


class Workers(Multiprocess):
    """uvicorn's, but a second signal ends the workers at once: one that it gets while it waits for them."""

    def join_all(self) -> None:
        while any(worker.process.is_alive() for worker in self.processes):
            if forced := {SIGINT, SIGTERM}.intersection(self.signal_queue):
                for worker in self.processes:
                    worker.kill()
                sys.exit(128 + forced.pop())
            time.sleep(0.1)
        super().join_all()


def make_config(options: dict[str, Any]) -> uvicorn.Config:
    """uvicorn's options for this product: what would cost memory or leak tokens is off."""
    return uvicorn.Config(
        asgi_application_path(),
        host=options["host"],
        port=options["port"],
        workers=options["workers"],
        loop="uvloop",
        http="httptools",
        ws="realtime.server:RealtimeProtocol",
        ws_max_size=settings().max_frame_bytes,
        ws_per_message_deflate=False,  # 64 KB a socket, and no frame could be shared
        ws_ping_interval=None,  # the product's own heartbeat proves that the client's code is alive, not its system
        lifespan="on",
        server_header=False,
        access_log=options["access_log"],
        log_level="info" if options["access_log"] else options["log_level"],
        log_config=LOGGING,
        timeout_graceful_shutdown=math.ceil(options["graceful_timeout"]),
        backlog=4096,
    )
