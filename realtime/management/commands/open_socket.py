"""`manage.py open_socket`: a socket in the terminal, for trying a site. It answers heartbeats by itself."""

import argparse
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from realtime.auth import tickets, tokens
from realtime.conf import settings
from realtime.installation import advise, find_missing


class Command(BaseCommand):
    help = "Open a socket as a user. Type commands, one in a line; frames are printed as they come. Ctrl-D ends it."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument(
            "--url", default="ws://127.0.0.1:8000/api/v1/ws", help="the address of the socket; %(default)s by default"
        )

    def handle(self, *args: Any, username: str, url: str, **options: Any) -> None:
        if missing := find_missing("server"):
            raise CommandError(f"This needs packages that are missing: {', '.join(missing)}. {advise('server')}")
        from realtime.server.terminal import open_terminal

        model = get_user_model()
        user = model._default_manager.filter(**{model.USERNAME_FIELD: username}).first()
        if user is None:
            raise CommandError(f"There is no user {username!r}.")
        if "ticket" not in settings().credentials:
            raise CommandError("The site accepts no tickets: add `ticket` to REALTIME['CREDENTIALS'].")
        # A ticket without claims: the socket lasts as long as the terminal.
        ticket = tickets.issue(user.pk, None, tokens.hash_password(user))
        address = f"{url}{'&' if '?' in url else '?'}ticket={ticket}"
        open_terminal(address)
