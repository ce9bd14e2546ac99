"""`manage.py export_notifications USER`: writes what the app stores about a person, one JSON object in each line."""

import argparse
from typing import Any

import msgspec
from django.core.management.base import BaseCommand

from notifications.management.people import add_user, find_user
from notifications.personal import export_user


class Command(BaseCommand):
    help = "Write everything that is stored about a user's notifications, one JSON object in each line."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_user(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        for record in export_user(find_user(options)):
            self.stdout.write(msgspec.json.encode(record).decode())
