"""`manage.py prune_events`: deletes old events and expired tickets now. The server does it every PRUNE_SECONDS."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from realtime.auth import tickets
from realtime.conf import MAX_DAYS, settings
from realtime.storage import retention


class Command(BaseCommand):
    help = "Delete events that are older than a number of days, and expired tickets. Messages are kept."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--days", type=float, help="the age in days; REALTIME['EVENT_DAYS'] by default")

    def handle(self, *args: Any, **options: Any) -> None:
        days = settings().event_days if options["days"] is None else options["days"]
        if days == 0 and options["days"] is None:
            raise CommandError("EVENT_DAYS is 0, so events are kept for ever. Pass --days to delete some.")
        if not 0 < days <= MAX_DAYS:  # true for "nan" too
            raise CommandError(f"--days must be above 0 and at most {MAX_DAYS}.")
        deleted, expired = retention.prune(days), tickets.prune()
        if options["verbosity"]:
            self.stdout.write(
                f"Events older than {days:g} days: {deleted} deleted. Expired tickets: {expired} deleted."
            )
