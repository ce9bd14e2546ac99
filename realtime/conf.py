"""The app's settings and all limits of the product. Only this module reads `django.conf.settings`. Used everywhere.

A site overrides the defaults with a dictionary: `REALTIME = {"HEARTBEAT_SECONDS": 20, …}`.
"""

import os
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

CREDENTIALS = ("token", "ticket", "subprotocol", "authorization", "session", "command")


@dataclass(frozen=True, slots=True)
class Settings:
    """The keys of `settings.REALTIME` in lower case, with their defaults."""

    redis_url: str = ""  # "": presence, leases, sessions in memory
    key_prefix: str = "realtime"  # of Redis keys and the layer's group

    credentials: tuple[str, ...] = CREDENTIALS  # accepted carriers, in this order
    # For the first `auth` command of a socket that was opened without a credential.
    auth_timeout_seconds: float = 10
    auth_expiring_seconds: float = 60  # from `auth_expiring` to the token's end
    auth_recheck_seconds: float = 60  # between two rechecks of open sockets' users
    ticket_seconds: float = 30
    # Attempts for one name from one address. 0 or None means no limit, also in the other limits per minute.
    logins_per_minute: int | None = 10
    logins_per_minute_per_address: int | None = 60  # attempts, whatever the name
    # In addition to the site's own host and CSRF_TRUSTED_ORIGINS; "*" allows all pages.
    allowed_origins: tuple[str, ...] = ()

    # How long a connection to `serve` may take to send the head of a request; 0 means for ever.
    request_head_seconds: float = 10
    heartbeat_seconds: float = 30
    heartbeat_misses: float = 2.5  # a socket silent for so many heartbeats is closed
    max_frame_bytes: int = 65_536  # of one incoming frame
    max_message_chars: int = 10_000  # of one chat message
    max_queued_bytes: int = 1_048_576  # waiting to be written to one socket
    max_connections: int = 50_000  # per process; more are refused with HTTP 503
    max_connections_per_user: int = 20  # per process
    max_rooms_per_connection: int = 200
    rooms_per_minute: int | None = 30  # made by one user over REST
    max_pending_commands: int = 64  # of one socket, before reading from it pauses
    bad_frames: int = 20  # in `bad_frames_seconds` close the socket with 4400
    bad_frames_seconds: float = 10
    commands_per_second: float = 50  # per user and process, on average
    commands_burst: int = 200
    rate_limit_errors: int = 50  # answers RATE_LIMITED in a row, then 4429

    database_threads: int = 4
    commit_batch: int = 500  # most messages in one transaction
    # Messages that may wait for a transaction, per process. Further ones are refused with UNAVAILABLE.
    max_waiting_commits: int = 10_000
    # How long to wait for a missing event, which may only be late, before it is read from the log.
    gap_wait_ms: float = 30
    # If a client missed more events of a stream, nothing is replayed and it loads the history instead.
    resume_max_events: int = 1_000
    resumes_at_once: int = 32  # per process; others wait for their turn
    # Sockets that may wait for that turn, per process. Further ones are refused with UNAVAILABLE.
    max_waiting_resumes: int = 10_000
    max_waiting_resumes_per_user: int = 20  # further ones are refused with RATE_LIMITED
    session_seconds: float = 600  # how long a session can be resumed
    sweep_seconds: float = 5  # age of an event without a `seq` that is swept

    event_days: float = 30  # older events are deleted; 0 keeps them for ever
    prune_seconds: float = 3_600  # between two deletions, by one of all processes
    # If the process that calls a topic's function has gone, another one takes over after this time.
    topic_lease_seconds: float = 6

    typing_seconds: float = 10
    presence_grace_seconds: float = 15
    presence_lease_seconds: float = 20
    presence_audience: str = "everyone"  # "everyone", "rooms", "nobody" or a dotted path
    presence_data_bytes: int = 1024  # of a presence command's free `data`
    # Changes of status, and typing outside rooms, of one user in one process, on average.
    presence_per_second: float = 2
    presence_burst: int = 20
    announcements_per_second: int = 50

    # Advised with OVERLOADED and RATE_LIMITED; with RESTARTING it is the maximum.
    retry_after_ms: int = 2_000
    # When a process stops, it closes its sockets spread over this time, or spreads their return over it.
    restart_window_seconds: float = 10
    bus_beat_seconds: float = 1  # between proofs that the process hears itself


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The defaults, overridden by the site's `REALTIME`. Raises ImproperlyConfigured for an unknown key."""
    given: dict[str, Any] = getattr(django_settings, "REALTIME", {})
    known = {field.name for field in fields(Settings)}
    unknown = sorted(key for key in given if key.lower() not in known)
    if unknown:
        raise ImproperlyConfigured(f"REALTIME has unknown keys: {', '.join(unknown)}")
    values: dict[str, Any] = {
        key.lower(): tuple(value) if isinstance(value, list) else value for key, value in given.items()
    }
    return Settings(**values)


def clear_cache(*, setting: str = "REALTIME", **_: Any) -> None:
    """Forget the parsed settings. Connected to Django's `setting_changed`, so that `override_settings` works."""
    if setting == "REALTIME":
        settings.cache_clear()


setting_changed.connect(clear_cache, dispatch_uid="realtime.conf.clear_cache")


def trusted_origins() -> tuple[str, ...]:
    """The site's CSRF_TRUSTED_ORIGINS: exact origins, or `https://*.example.com`."""
    return tuple(django_settings.CSRF_TRUSTED_ORIGINS)


def session_cookie_name() -> str:
    return str(django_settings.SESSION_COOKIE_NAME)


def session_engine() -> str:
    return str(django_settings.SESSION_ENGINE)


def allowed_hosts() -> list[str]:
    """ALLOWED_HOSTS as Django reads it: with DEBUG, an empty list means this machine."""
    hosts = list(django_settings.ALLOWED_HOSTS)
    return hosts or ([".localhost", "127.0.0.1", "[::1]"] if django_settings.DEBUG else [])


def proxy_ssl_header() -> tuple[bytes, str] | None:
    """SECURE_PROXY_SSL_HEADER as (header name as in a scope, value that means TLS)."""
    given = django_settings.SECURE_PROXY_SSL_HEADER
    if given is None:
        return None
    name, value = given
    return name.removeprefix("HTTP_").replace("_", "-").lower().encode(), value


def worker_count() -> int:
    """How many processes serve the site: the variable WEB_CONCURRENCY, which uvicorn also reads; 1 by default."""
    given = os.environ.get("WEB_CONCURRENCY", "")
    return int(given) if given.isdigit() and int(given) > 0 else 1


def has_asgi_application() -> bool:
    return bool(getattr(django_settings, "ASGI_APPLICATION", None))


def default_database() -> dict[str, Any]:
    return dict(django_settings.DATABASES["default"])


def default_layer() -> dict[str, Any]:
    return dict(getattr(django_settings, "CHANNEL_LAYERS", {}).get("default", {}))


def asgi_application_path() -> str:
    """ASGI_APPLICATION as `module:name`. Raises ImproperlyConfigured when it is not set."""
    path = getattr(django_settings, "ASGI_APPLICATION", None)
    if not path:
        raise ImproperlyConfigured("Set ASGI_APPLICATION to the path of your ASGI application.")
    module, _, name = str(path).rpartition(".")
    return f"{module}:{name}"
