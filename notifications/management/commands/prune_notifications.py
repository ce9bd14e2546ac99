"""`manage.py prune_notifications`: deletes old notifications now. The server does it every hour."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from notifications import clock, conf, retention

MAX_DAYS = 36_500


class Command(BaseCommand):
    help = (
        "Delete notifications that are older than a number of days, what readers did with announcements that are over, "
        "and what can no longer be undone."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        for kind in ("read", "unread"):
            setting = f"NOTIFICATIONS['{kind.upper()}_DAYS']"
            text = f"the age in days of {kind} ones, 0 to keep them; {setting} by default"
            parser.add_argument(f"--{kind}-days", type=float, help=text)

    def handle(self, *args: Any, **options: Any) -> None:
        settings, now = conf.settings(), clock.now()
        read_days = settings.read_days if options["read_days"] is None else options["read_days"]
        unread_days = settings.unread_days if options["unread_days"] is None else options["unread_days"]
        for days in (read_days, unread_days):
            if not 0 <= days <= MAX_DAYS:  # true for "nan" too
                raise CommandError(f"An age is 0 to {MAX_DAYS} days.")
        retention.forget_undone(now)
        pruned = retention.prune(now, read_days, unread_days)
        if options["verbosity"]:
            self.stdout.write(
                f"Deleted: {pruned.read} read and {pruned.unread} unread notifications,"
                f" {pruned.states} states of announcements."
            )
