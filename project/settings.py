"""Settings of the runnable site.

Embedded by default: one process, SQLite in `var/`, memory for the channel layer and presence.
`DATABASE_URL` (PostgreSQL) and `REDIS_URL` make it a distributed site of many processes.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from project.compression import weaken_etag

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"


def env_flag(name: str, default: bool = False) -> bool:
    value = os.environ.get(name, "").lower()
    return value in {"1", "true", "yes", "on"} if value else default


def env_list(name: str) -> list[str]:
    return [item.strip() for item in os.environ.get(name, "").split(",") if item.strip()]


DEBUG = env_flag("DEBUG")
# The demo at `/`: whoever opens it is one of its people, or the admin, with one click. Never for a site that is open.
DEMO = env_flag("DEMO", default=DEBUG)
DEMO_TRAFFIC = env_flag("DEMO_TRAFFIC", default=DEMO)  # some of its people talk by themselves while somebody looks
SECRET_KEY = os.environ.get("SECRET_KEY", "")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured("Set SECRET_KEY to a long random string, or DEBUG=1 to develop.")
    # Django's check for deployments warns of every key that begins like this.
    SECRET_KEY = "django-insecure-for-development-only-and-never-for-a-site-that-is-open-to-others"

ALLOWED_HOSTS = env_list("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "project",  # its templates come before those of the admin
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "realtime",
    "notifications",
    "project.orders",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

if DEMO:
    # The demo's scripts and styles are served as they are written, so they are compressed on their way.
    MIDDLEWARE.insert(0, "project.compression.CompressionMiddleware")
    WHITENOISE_ADD_HEADERS_FUNCTION = weaken_etag

ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASE_URL = os.environ.get("DATABASE_URL", "")
if DATABASE_URL:
    DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=0, conn_health_checks=True)}
    if DATABASES["default"]["ENGINE"].endswith("postgresql"):
        # Answer UNAVAILABLE after 3 s without a connection, and look every 2 s whether the server is back.
        pool = {"min_size": 2, "max_size": 16, "timeout": 3, "reconnect_timeout": 2}
        DATABASES["default"].setdefault("OPTIONS", {})["pool"] = pool
else:
    VAR_DIR.mkdir(exist_ok=True)
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(VAR_DIR / "db.sqlite3"),
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL;",
            },
        }
    }

REDIS_URL = os.environ.get("REDIS_URL", "")
if REDIS_URL:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": 10, "socket_connect_timeout": 3}]},
        }
    }
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

# Attempts to log in are counted there, so all processes must see the same one.
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": "realtime-cache",
            # Nobody is to wait for a Redis that hangs: without it attempts are not counted.
            "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
        }
    }
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 10_000},  # with Django's 300, others' attempts would push one's own out
        }
    }

REALTIME: dict[str, Any] = {"REDIS_URL": REDIS_URL}
NOTIFICATIONS: dict[str, Any] = {}
if DEMO:
    REALTIME["DISPLAY_NAME"] = "project.demo.people.display_name"
    NOTIFICATIONS["LANGUAGE"] = "project.demo.languages.find_language"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    # `serve` takes the client's address from the proxy it trusts; every further proxy that is trusted counts here.
    "NUM_PROXIES": int(os.environ.get("NUM_PROXIES", "0")),
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=int(os.environ.get("ACCESS_TOKEN_MINUTES", "30"))),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "CHECK_REVOKE_TOKEN": True,  # a new password ends all tokens from before it
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Realtime API",
    "DESCRIPTION": _(
        "Log in, get tickets for sockets, see who is online, manage rooms and their members, read messages, and mark "
        "notifications.\n\n"
        "To try it on this page, log in with `POST /api/v1/auth/token`, press *Authorize* and paste the `access` token."
        "\n\nThe sockets have [a page of their own](docs/socket)."
    ),
    "TAGS": [
        {"name": "auth", "description": _("Log in and out, and get tickets for sockets.")},
        {"name": "presence", "description": _("Who is online.")},
        {"name": "rooms", "description": _("Rooms that people write to.")},
        {"name": "members", "description": _("Who is in a room, and in which role.")},
        {"name": "messages", "description": _("The messages of rooms, and direct messages.")},
        {"name": "notifications", "description": _("Your inbox.")},
        {"name": "preferences", "description": _("Which notifications you want, when and how.")},
        {"name": "follows", "description": _("Objects that you follow, or do not want to hear of.")},
        {"name": "announcements", "description": _("What staff say to many users at once.")},
    ],
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
LOGIN_URL = "admin:login"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "WARNING")},
    "loggers": {
        "realtime": {"level": os.environ.get("LOG_LEVEL", "INFO")},
        "django": {"handlers": [], "level": "NOTSET"},  # Django's own console would say each line twice
    },
}
