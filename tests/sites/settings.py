"""The project's settings for sites that tests start as real processes. The environment contains the differences."""

import json
import os
import sys

from project.settings import *  # noqa: F403
from project.settings import CHANNEL_LAYERS, DATABASES, INSTALLED_APPS, MIDDLEWARE, REALTIME, ROOT_URLCONF

# REST framework loads both where they are installed, and with the second one psycopg: an eighth of the time of a start.
# Nothing here uses them, and the small sites of `small.py` load them as any site does.
sys.modules.update(dict.fromkeys(["requests", "django.contrib.postgres"]))

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if "SQLITE_PATH" in os.environ:
    DATABASES["default"]["NAME"] = os.environ["SQLITE_PATH"]
    DATABASES["default"]["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"  # no test cuts the power
if pool := DATABASES["default"].get("OPTIONS", {}).get("pool"):
    pool["timeout"] = float(os.environ.get("POOL_SECONDS", pool["timeout"]))
for host in CHANNEL_LAYERS["default"].get("CONFIG", {}).get("hosts", []):
    host["socket_timeout"] = 2
INSTALLED_APPS = [*INSTALLED_APPS, "tests.sites.constants.SiteConstants"]
# Static files of the apps, for pages in a browser, without collecting them first.
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS = True
REALTIME = {**REALTIME, **json.loads(os.environ.get("REALTIME_JSON", "{}"))}
NOTIFICATIONS = json.loads(os.environ.get("NOTIFICATIONS_JSON", "{}"))
ROOT_URLCONF = os.environ.get("SITE_URLS", ROOT_URLCONF)
if "CONTENT_POLICY" in os.environ:
    MIDDLEWARE = [*MIDDLEWARE, "tests.sites.policy.add_policy"]
