"""`manage.py asyncapi`: describes the sockets for tools and front ends, as an AsyncAPI document and for TypeScript."""

import argparse
import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, no_translations

from realtime.asyncapi.document import make_document


class Command(BaseCommand):
    help = (
        "Write the AsyncAPI document of the sockets: every frame and command, with what this site has declared. "
        "It goes to the output unless a file is named."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--output", type=Path, metavar="PATH", help="a file for the document")

    @no_translations
    def handle(self, *args: Any, output: Path | None, **options: Any) -> None:
        document = make_document()
        self.stdout.write(json.dumps(document, indent=2, ensure_ascii=False))
