"""`manage.py serve`: serves the site in production, with uvicorn, our WebSocket transport, uvloop and httptools.

These packages are optional (the extra `server`): the command says so if they are missing.
"""

import argparse
import math
import os
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.template.autoreload import get_template_directories

from realtime.checks import check_asgi, check_workers
from realtime.conf import FOREVER, asgi_application_path, is_debug, settings, worker_count
from realtime.installation import advise, find_missing
from realtime.server.early_signals import ending_at_once
from realtime.server.listeners import bind
from realtime.server.redaction import LOGGING

if TYPE_CHECKING:
    import uvicorn

    from realtime.server.reloader import Watched

# From the last close frame to the end of the process: clients answer the frame, and waiting messages are stored.
FINISH_SECONDS = 10
# How long an idle connection is kept. Longer than proxies keep theirs (nginx and cloud balancers: 60 s): one that is
# closed on our side first can be chosen by the proxy for a request in that moment, which is then a 502.
KEEP_ALIVE_SECONDS = 75


class Command(BaseCommand):
    help = "Serve the site: HTTP and WebSockets."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--workers", type=int, default=worker_count(), help="number of processes; more than one needs REDIS_URL"
        )
        parser.add_argument(
            "--graceful-timeout",
            type=float,
            help="seconds to close all sockets after SIGTERM; must be more than REALTIME['RESTART_WINDOW_SECONDS'],"
            f" and is {FINISH_SECONDS} more by default",
        )
        parser.add_argument("--log-level", default="warning", choices=["debug", "info", "warning", "error"])
        parser.add_argument(
            "--access-log",
            action=argparse.BooleanOptionalAction,
            default=is_debug(),
            help="log each request, without its query string; with DEBUG, this is the default",
        )
        parser.add_argument(
            "--reload",
            action="store_true",
            help="for development: start the site again when its code, templates or translations change",
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        with ending_at_once():
            return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        if missing := find_missing("server"):
            hint = f"{advise('server')} Other ASGI servers work, too: see docs/deployment.md."
            raise CommandError(f"`serve` needs packages that are missing or too old: {', '.join(missing)}. {hint}")
        from realtime.server.process import Server
        from realtime.server.reloader import Reloader
        from realtime.server.supervisor import Workers

        if options["workers"] < 1:
            raise CommandError("--workers must be at least 1.")
        window = settings().restart_window_seconds
        if options["graceful_timeout"] is None:
            options["graceful_timeout"] = window + FINISH_SECONDS
        if not window < options["graceful_timeout"] <= FOREVER:  # false for "nan" too
            raise CommandError(
                f"--graceful-timeout must be more than RESTART_WINDOW_SECONDS ({window:g}), and at most {FOREVER}."
            )
        for error in [*check_asgi(None), *check_workers(workers=options["workers"])]:
            raise CommandError(f"{error.msg} {error.hint}")
        if options["reload"] and options["workers"] > 1:
            raise CommandError("--reload is for one process: leave out --workers and WEB_CONCURRENCY.")
        # The workers read it when they import the application.
        os.environ["WEB_CONCURRENCY"] = str(options["workers"])
        listeners = open_listeners(options["host"], options["port"])
        config = make_config(options)
        self.stdout.write(f"Serving on {address_of(options['host'], listeners)} (Ctrl-C stops)")
        self.stdout.flush()
        if options["reload"]:
            Reloader(config, listeners, find_files()).run()
        elif options["workers"] > 1:
            Workers(config, sockets=listeners).run()
        else:
            Server(config).run(listeners)


def open_listeners(host: str, port: int) -> list[socket]:
    """Raises CommandError."""
    try:
        return bind(host, port)
    except UnicodeError:  # a part between two dots is empty or too long
        raise CommandError(f"Cannot serve on {host}:{port}: this is no name of a host.") from None
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise CommandError(f"Cannot serve on {host}:{port}: {why.rstrip('.')}.") from None


def address_of(host: str, listeners: list[socket]) -> str:
    port = listeners[0].getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def find_files() -> "Watched":
    """Where the site's own files are. What is installed does not change while a developer works."""
    from realtime.server.reloader import Watched

    folders = {Path.cwd(), *(Path(app.path) for app in apps.get_app_configs())}
    return Watched(code=without_installed(folders), templates=without_installed(get_template_directories()))


def without_installed(folders: set[Path]) -> list[Path]:
    """Those folders that are not in `site-packages` or its like, each once."""
    own = [folder for folder in folders if not {"site-packages", "dist-packages"} & set(folder.parts)]
    return [folder for folder in own if not any(other in folder.parents for other in own)]


def make_config(options: dict[str, Any]) -> "uvicorn.Config":
    """uvicorn's options for this product. Options that would cost memory or reveal tokens are off."""
    import uvicorn

    return uvicorn.Config(
        asgi_application_path(),
        host=options["host"],
        port=options["port"],
        workers=options["workers"],
        loop="auto",  # uvloop if there is one: Windows has none
        http="realtime.server.http:BoundedHttpProtocol",
        ws="realtime.server.websocket:RealtimeProtocol",
        ws_max_size=settings().max_frame_bytes,
        # Compression would cost 64 KB of memory a socket, and sockets could not share the bytes of a frame.
        ws_per_message_deflate=False,
        lifespan="on",
        server_header=False,
        access_log=options["access_log"],
        log_level="info" if options["access_log"] else options["log_level"],
        log_config=LOGGING,
        timeout_graceful_shutdown=math.ceil(options["graceful_timeout"]),
        backlog=4096,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
