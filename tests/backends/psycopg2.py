"""A plugin of pytest: Django talks to PostgreSQL by psycopg2, as on a site that has no psycopg 3.

It is loaded by `-p`, before anything else loads the driver.
"""

import importlib
import sys

sys.modules["psycopg"] = None  # type: ignore[assignment]  # not importable
importlib.import_module("django.db.backends.postgresql.base")
del sys.modules["psycopg"]
