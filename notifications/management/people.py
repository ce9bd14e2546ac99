"""The user that a command is about. Used by the commands for export and deletion."""

import argparse
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.management.base import CommandError

from realtime.integration import exact


def add_user(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user", metavar="USER", help="the name with which the user logs in")
    parser.add_argument("--by-key", action="store_true", help="USER is the user's primary key")


def find_user(options: dict[str, Any]) -> Any:
    """Raises CommandError if there is no such user."""
    users = get_user_model()
    lookup = "pk" if options["by_key"] else users.USERNAME_FIELD
    try:
        return exact(users._base_manager).get(**{lookup: options["user"]})
    except (ObjectDoesNotExist, ValidationError, ValueError):
        raise CommandError(f"There is no user {options['user']!r}.") from None
