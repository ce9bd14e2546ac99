"""`manage.py erase_notifications USER`: deletes what the app stores about a person."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from notifications.management.people import add_user, find_user
from notifications.personal import erase_user


class Command(BaseCommand):
    help = (
        "Delete everything that is stored about a user's notifications, and the user's name in those of others. "
        "Call this before you delete the user."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_user(parser)
        parser.add_argument("--no-input", action="store_true", help="do not ask whether you are sure")

    def handle(self, *args: Any, **options: Any) -> None:
        user = find_user(options)
        if not options["no_input"]:
            question = f"Delete all notifications of {user.get_username()} ({user.pk})? This is final. [yes/no] "
            try:
                answer = input(question)
            except EOFError:  # in a cron job, or after Ctrl-D
                raise CommandError("Nothing was deleted: nobody has answered. Use --no-input.") from None
            if answer.strip().lower() != "yes":
                raise CommandError("Nothing was deleted.")
        done = erase_user(user)
        if options["verbosity"]:
            self.stdout.write(f"Deleted or changed: {', '.join(f'{count} {name}' for name, count in done.items())}.")
