"""Changes constants of the product in sites that tests start as real processes. See `Site.varied`."""

import json
import os
from importlib import import_module

from django.apps import AppConfig


class SiteConstants(AppConfig):
    name = "tests"
    label = "site_constants"

    def ready(self) -> None:
        for path, value in json.loads(os.environ.get("CONSTANTS_JSON", "{}")).items():
            module, _, name = path.rpartition(".")
            assert hasattr(import_module(module), name), path
            setattr(import_module(module), name, value)
