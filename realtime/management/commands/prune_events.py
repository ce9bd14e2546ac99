"""`manage.py prune_events`: deletes old events now (L4). The server does it by itself once an hour."""

import argparse
import math
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from realtime import retention
from realtime.conf import settings


class Command(BaseCommand):
    help = "Delete events that are older than a number of days, and expired tickets. Messages stay."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--days", type=float, help="the age in days; REALTIME['EVENT_DAYS'] when left out")

    def handle(self, *args: Any, **options: Any) -> None:
        days = settings().event_days if options["days"] is None else options["days"]
        if not (days > 0 and math.isfinite(days)):
            raise CommandError("Events are kept for ever: give --days a number above 0.")
        pruned = retention.prune(days)
        if options["verbosity"]:
            self.stdout.write(
                f"Deleted {pruned.events} events older than {days:g} days and {pruned.tickets} expired tickets."
            )
