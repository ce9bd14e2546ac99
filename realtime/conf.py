"""Settings of the app: the only place that reads `django.conf.settings`.

Every limit of the product is here. A site overrides with a dictionary:
`REALTIME = {"HEARTBEAT_SECONDS": 20, …}`. Called by every layer.
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

    redis_url: str = ""  # presence lives there when set, else in this process's memory
    key_prefix: str = "realtime"  # of every key in Redis, and of the channel layer's group

    credentials: tuple[str, ...] = CREDENTIALS  # accepted carriers, in the order in which they are looked at
    auth_timeout_seconds: float = 10  # for the first `auth` command of a socket that came without a credential
    auth_expiring_seconds: float = 60  # `auth_expiring` is sent that long before the token ends
    auth_recheck_seconds: float = 60  # how often the users of open sockets are looked up again
    ticket_seconds: float = 30
    logins_per_minute: int | None = 10  # attempts for one name from one address; 0 or None: any number, here and below
    logins_per_minute_per_address: int | None = 60  # attempts, whatever the name
    allowed_origins: tuple[str, ...] = ()  # besides the site's own host and CSRF_TRUSTED_ORIGINS; "*" allows all

    request_head_seconds: float = 10  # for the head of a request, of a connection to `serve`; 0 waits for ever
    heartbeat_seconds: float = 30
    heartbeat_misses: float = 2.5  # that many heartbeats of silence close a socket
    max_frame_bytes: int = 65_536  # of one incoming frame
    max_message_chars: int = 10_000  # of one chat message
    max_queued_bytes: int = 1_048_576  # waiting to be written to one socket
    max_connections: int = 50_000  # per process; more are refused with HTTP 503
    max_connections_per_user: int = 20  # per process
    max_rooms_per_connection: int = 200
    rooms_per_minute: int | None = 30  # that one user makes over REST; 0 or None: any number
    max_pending_commands: int = 64  # of one socket, before reading from it pauses
    bad_frames: int = 20  # in `bad_frames_seconds` close the socket with 4400
    bad_frames_seconds: float = 10
    commands_per_second: float = 50  # per user and process, sustained
    commands_burst: int = 200
    rate_limit_errors: int = 50  # RATE_LIMITED answers before the socket is closed with 4429

    database_threads: int = 4
    commit_batch: int = 500  # messages in one transaction at the most
    max_waiting_commits: int = 10_000  # messages waiting for a transaction, per process; more get UNAVAILABLE
    gap_wait_ms: float = 30  # how long a missing event may still arrive by itself before the log is asked
    resume_max_events: int = 1_000  # further back than that nothing is replayed: the client loads the history
    resumes_at_once: int = 32  # per process; the others wait for their turn
    session_seconds: float = 600  # how long a session can be taken up again
    sweep_seconds: float = 5  # age at which an event left without a seq by a crash is picked up

    event_days: float = 30  # events older than that are deleted; 0 keeps them for ever
    prune_seconds: float = 3_600  # how often that is done, by one process of all
    topic_lease_seconds: float = 6  # after which another process calls a topic's function when the one that did is gone

    typing_seconds: float = 10
    presence_grace_seconds: float = 15
    presence_lease_seconds: float = 20
    presence_audience: str = "everyone"  # "everyone", "rooms", "nobody" or a dotted path
    presence_data_bytes: int = 1024  # of the free `data` of a presence command
    presence_per_second: float = 2  # changes of status and free typing of one user and process, sustained
    presence_burst: int = 20
    announcements_per_second: int = 50

    retry_after_ms: int = 2_000  # advised with OVERLOADED and RATE_LIMITED; with RESTARTING at the most
    restart_window_seconds: float = 10  # over which the sockets of a process that stops are told, or return
    bus_beat_seconds: float = 1  # how often a process proves that it hears its own publications


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The site's `REALTIME` over the defaults. Raises ImproperlyConfigured on an unknown key."""
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
    """Forget the parsed settings; connected to Django's `setting_changed`, so `override_settings` works."""
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
    """As Django reads ALLOWED_HOSTS: in development an empty list means this machine."""
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
    """How many processes serve the site: WEB_CONCURRENCY, the variable that uvicorn and others read; 1 by default."""
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
