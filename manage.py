#!/usr/bin/env python
"""Django's command line for the project."""

import os
import sys

# What these serve may be open to others, so they have to be told whether it is the site or a developer's copy of it.
SERVERS = {"serve", "runserver"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    if not {"SECRET_KEY", "DEBUG"} & os.environ.keys() and (is_help() or not SERVERS & set(sys.argv[1:2])):
        os.environ["DEBUG"] = "1"
        print("Neither SECRET_KEY nor DEBUG is set: these are the settings for development.", file=sys.stderr)
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


def is_help() -> bool:
    return bool({"-h", "--help"} & set(sys.argv))


if __name__ == "__main__":
    main()
