"""`manage.py asyncapi`: describes the sockets for tools and front ends, as an AsyncAPI document and for TypeScript."""

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, no_translations

from realtime.asyncapi.document import make_document, write_document
from realtime.asyncapi.typescript import write_library, write_site

PACKAGE = "django-realtime-hub"  # of the client library


class Command(BaseCommand):
    help = (
        "Write the AsyncAPI document of the sockets: every frame and command, and what this site has declared: topics, "
        "frames, types of notifications. Without a file, it goes to the output."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--output", type=Path, metavar="PATH", help="a file for the document")
        parser.add_argument(
            "--typescript",
            type=Path,
            metavar="PATH",
            help="a file for the site's types, which add to the library's",
        )
        parser.add_argument(
            "--module",
            default=PACKAGE,
            help="the name of the client library in front ends; %(default)s by default",
        )
        parser.add_argument(
            "--without-site",
            action="store_true",
            help="leave out what this site has declared; the file for TypeScript then has the library's types",
        )

    @no_translations
    def handle(self, *args: Any, output: Path | None, typescript: Path | None, **options: Any) -> None:
        document = make_document(site=not options["without_site"])
        if output is not None:
            write(output, write_document(document))
        if typescript is not None and options["without_site"]:
            write(typescript, write_library(document))
        elif typescript is not None:
            library = make_document(site=False)
            write(typescript, write_site(document, library, options["module"]))
        if output is None and typescript is None:
            self.stdout.write(write_document(document), ending="")


def write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}.") from None
