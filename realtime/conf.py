"""The app's settings and all limits of the product. Only this module reads `django.conf.settings`. Used everywhere.

A site overrides the defaults with a dictionary: `REALTIME = {"HEARTBEAT_SECONDS": 20, …}`.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

Carrier = Literal["token", "ticket", "subprotocol", "authorization", "session", "command"]
CREDENTIALS: tuple[Carrier, ...] = get_args(Carrier)

# The types of settings. Each `description` completes the sentence "HEARTBEAT_SECONDS must be …".
FOREVER = 1_000_000_000  # the highest number that makes sense, whatever the unit
Positive = Annotated[float, msgspec.Meta(gt=0, le=FOREVER, description="a number above 0")]
NotNegative = Annotated[float, msgspec.Meta(ge=0, le=FOREVER, description="a number, 0 or more")]
MAX_DAYS = 36_500
Days = Annotated[float, msgspec.Meta(ge=0, le=MAX_DAYS, description=f"a number of days, 0 to {MAX_DAYS}")]
Count = Annotated[int, msgspec.Meta(ge=1, le=FOREVER, description="a whole number, 1 or more")]
CountOrZero = Annotated[int, msgspec.Meta(ge=0, le=FOREVER, description="a whole number, 0 or more")]
Limit = Annotated[
    Annotated[int, msgspec.Meta(ge=0, le=FOREVER)] | None,
    msgspec.Meta(description="a whole number, or 0 or None for no limit"),
]
Misses = Annotated[float, msgspec.Meta(ge=1, le=FOREVER, description="a number, 1 or more")]
Switch = Annotated[bool, msgspec.Meta(description="True or False")]
Carriers = Annotated[
    tuple[Carrier, ...],
    msgspec.Meta(min_length=1, description=f"a list with at least one of {', '.join(CREDENTIALS)}"),
]
# As browsers send it: a scheme, a host and perhaps a port, without a slash at the end.
HOST_PATTERN = r"(\[[0-9A-Fa-f:.]+\]|(\*\.)?[^*/?#@\s:\[\]]+)"
PORT_PATTERN = r"0*([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
ORIGIN_PATTERN = rf"^(\*|[A-Za-z][A-Za-z0-9+.-]*://{HOST_PATTERN}(:{PORT_PATTERN})?)\Z"
Origins = Annotated[
    tuple[Annotated[str, msgspec.Meta(pattern=ORIGIN_PATTERN)], ...],
    msgspec.Meta(
        description='a list of origins without a path: "https://app.example.com", "https://*.example.com" or "*"'
    ),
]
RedisUrl = Annotated[
    str,
    msgspec.Meta(pattern=r"^\Z|^(rediss?|unix)://", description='"", or an address redis://…, rediss://…, unix://…'),
]
Prefix = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z", description="1 to 64 of these characters: A-Z a-z 0-9 _ . -")
]
Audience = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(everyone|rooms|nobody|[^\W\d]\w*(\.[^\W\d]\w*)+)\Z",
        description='"everyone", "rooms", "nobody" or the dotted path of a function',
    ),
]
FunctionPath = Annotated[
    str, msgspec.Meta(pattern=r"^\Z|^[^\W\d]\w*(\.[^\W\d]\w*)+\Z", description='"", or the dotted path of a function')
]


@dataclass(frozen=True, slots=True)
class Settings:
    """The keys of `settings.REALTIME` in lower case, with their defaults."""

    redis_url: RedisUrl = ""  # "": presence, leases, sessions in memory
    key_prefix: Prefix = "realtime"  # of Redis keys, and of the name of the layer's group
    # Without Redis, workers know nothing of each other's sockets. Several start only if the site wants that.
    isolated_workers: Switch = False

    credentials: Carriers = CREDENTIALS  # accepted carriers, in this order
    # For the first `auth` command of a socket that was opened without a credential.
    auth_timeout_seconds: Positive = 10
    auth_expiring_seconds: NotNegative = 60  # from `auth_expiring` to the token's end
    auth_recheck_seconds: Positive = 60  # between two rechecks of open sockets' users
    ticket_seconds: Positive = 30
    # Attempts for one name from one address. 0 or None means no limit, also in the other limits per minute.
    logins_per_minute: Limit = 10
    logins_per_minute_per_address: Limit = 60  # attempts, whatever the name
    # In addition to the site's own host and CSRF_TRUSTED_ORIGINS; "*" allows all pages.
    allowed_origins: Origins = ()

    # From a user to the name that others see; "": see `auth.names`.
    display_name: FunctionPath = ""

    # How long a connection to `serve` may take to send the head of a request; 0 means for ever.
    request_head_seconds: NotNegative = 10
    heartbeat_seconds: Positive = 30
    heartbeat_misses: Misses = 2.5  # a socket silent for so many heartbeats is closed
    max_frame_bytes: Count = 65_536  # of one incoming frame
    max_message_chars: Count = 10_000  # of one chat message
    max_queued_bytes: Count = 1_048_576  # waiting to be written to one socket
    max_connections: CountOrZero = 50_000  # per process; more are refused with HTTP 503
    max_connections_per_user: Count = 20  # per process
    max_rooms_per_connection: CountOrZero = 200
    rooms_per_minute: Limit = 30  # made by one user over REST
    # Of one user over REST, at all addresses that have no limit of their own.
    changes_per_minute: Limit = 600
    lists_per_user: Limit = 1  # made at once over REST for one user, per process
    max_pending_commands: Count = 64  # of one socket, before reading from it pauses
    bad_frames: Count = 20  # in `bad_frames_seconds` close the socket with 4400
    bad_frames_seconds: Positive = 10
    commands_per_second: Positive = 50  # per user and process, on average
    commands_burst: Count = 200
    rate_limit_errors: Count = 50  # answers RATE_LIMITED in a row, then 4429

    database_threads: Count = 4
    commit_batch: Count = 500  # most messages in one transaction
    # Most bytes of messages in one transaction, because all of them are written to the sockets of a room at once.
    commit_bytes: Count = 524_288
    # Messages that may wait for a transaction, per process. Further ones are refused with UNAVAILABLE.
    max_waiting_commits: Count = 10_000
    max_waiting_commit_bytes: Count = 67_108_864
    # How long to wait for a missing event, which may only be late, before it is read from the log.
    gap_wait_ms: NotNegative = 30
    # If a client missed more events of a stream, nothing is replayed and it loads the history instead.
    resume_max_events: CountOrZero = 1_000
    resumes_at_once: Count = 32  # per process; others wait for their turn
    # Sockets that may wait for that turn, per process. Further ones are refused with UNAVAILABLE.
    max_waiting_resumes: Count = 10_000
    max_waiting_resumes_per_user: Count = 20  # further ones are refused with RATE_LIMITED
    session_seconds: Positive = 600  # how long a session can be resumed
    sweep_seconds: Positive = 5  # age of an event without a `seq` that is swept

    event_days: Days = 30  # older events are deleted; 0 keeps them for ever
    prune_seconds: Positive = 3_600  # between two deletions, by one of all processes
    # If the process that calls a topic's function has gone, another one takes over after this time.
    topic_lease_seconds: Positive = 6

    typing_seconds: Positive = 10
    presence_grace_seconds: NotNegative = 15
    presence_lease_seconds: Positive = 20
    presence_audience: Audience = "everyone"  # "everyone", "rooms", "nobody" or a dotted path
    # With a function there: its reverse, from a reader's id to the ids of those whose presence the reader may see.
    presence_visible: FunctionPath = ""
    presence_data_bytes: CountOrZero = 1024  # of a presence command's free `data`
    # Changes of status, and typing outside rooms, of one user in one process, on average.
    presence_per_second: Positive = 2
    presence_burst: Count = 20
    announcements_per_second: CountOrZero = 50

    # Advised with OVERLOADED and RATE_LIMITED; with RESTARTING it is the maximum.
    retry_after_ms: CountOrZero = 2_000
    # When a process stops, it closes its sockets spread over this time, or spreads their return over it.
    restart_window_seconds: NotNegative = 10
    bus_beat_seconds: Positive = 1  # between proofs that the process hears itself

    # False: nothing is registered in Django's admin, and the site registers classes of its own.
    admin: Switch = True


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The defaults, overridden by the site's `REALTIME`. Raises ImproperlyConfigured that names all that is wrong."""
    values, problems = read_settings("REALTIME", Settings)
    if problems:
        raise ImproperlyConfigured(" ".join(problems))
    return Settings(**values)


def find_problems() -> list[str]:
    """What is wrong with the site's `REALTIME`: a sentence for each key. Empty if it is right."""
    return read_settings("REALTIME", Settings)[1]


def has_admin() -> bool:
    """Whether the app registers its classes in Django's admin. Asked at start, where checks report what is wrong."""
    return read_settings("REALTIME", Settings)[0].get("admin", True) is True


def has_redis() -> bool:
    """Whether processes know of each other's sockets. Asked by checks, also while other settings are wrong."""
    return bool(read_settings("REALTIME", Settings)[0].get("redis_url"))


def read_settings(setting: str, model: type) -> tuple[dict[str, Any], list[str]]:
    """The values in the site's dictionary `setting`, by the names of the model's fields, and what is wrong with it.

    A key is a field's name in upper case. The type of each field is `Annotated` with a `description`.
    """
    given = getattr(django_settings, setting, {})
    if not isinstance(given, dict):
        return {}, [f"{setting} must be a dictionary, not {type(given).__name__}."]
    types = get_type_hints(model, include_extras=True)
    values: dict[str, Any] = {}
    problems = []
    for key, value in given.items():
        name = str(key).lower()
        if name not in types:
            problems.append(f"{setting} has an unknown key: {key}.")
            continue
        if key != name.upper():
            problems.append(f"{setting} has an unknown key: {key}. Write {name.upper()}.")
            continue
        try:
            values[name] = msgspec.convert(value, types[name])
        except (msgspec.ValidationError, UnicodeEncodeError):  # the last one for a variable that is not UTF-8
            problems.append(f"{setting}['{key}'] must be {describe(types[name])}, not {show(name, value)}.")
    return values, problems


def show(name: str, value: Any) -> str:
    """A wrong value, for an error. An address may contain a password: before an `@`, or as a parameter."""
    if name.endswith("_url") and any(mark in repr(value) for mark in "@?"):
        return "a text that may contain a password"
    return repr(value)


def describe(kind: Any) -> str:
    """What a value of this type is, in words."""
    return next(str(meta.description) for meta in reversed(kind.__metadata__) if meta.description)


def clear_cache(*, setting: str = "REALTIME", **_: Any) -> None:
    """Forget the parsed settings. Connected to Django's `setting_changed`, so that `override_settings` works."""
    if setting == "REALTIME":
        settings.cache_clear()


setting_changed.connect(clear_cache, dispatch_uid="realtime.conf.clear_cache")


def settings_in_memory() -> dict[str, Any]:
    """The site's settings that make it need Redis, changed so that one process keeps everything in its memory."""
    own = getattr(django_settings, "REALTIME", {})
    return {
        "REALTIME": {**own, "REDIS_URL": "", "ISOLATED_WORKERS": True},
        "CHANNEL_LAYERS": {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    }


def trusted_origins() -> tuple[str, ...]:
    """The site's CSRF_TRUSTED_ORIGINS: exact origins, or `https://*.example.com`."""
    return tuple(django_settings.CSRF_TRUSTED_ORIGINS)


def is_debug() -> bool:
    return bool(django_settings.DEBUG)


def session_cookie_name() -> str:
    return str(django_settings.SESSION_COOKIE_NAME)


def csrf_cookie_name() -> str | None:
    """None if scripts cannot read the token of Django's CSRF protection from a cookie."""
    is_hidden = django_settings.CSRF_USE_SESSIONS or django_settings.CSRF_COOKIE_HTTPONLY
    return None if is_hidden else str(django_settings.CSRF_COOKIE_NAME)


def csrf_header_key() -> str:
    """Where Django looks for the token of its CSRF protection, in `request.META`."""
    return str(django_settings.CSRF_HEADER_NAME)


def session_engine() -> str:
    return str(django_settings.SESSION_ENGINE)


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
    return int(given) if given.isdecimal() and int(given) > 0 else 1


def has_asgi_application() -> bool:
    return bool(getattr(django_settings, "ASGI_APPLICATION", None))


def database(alias: str) -> dict[str, Any]:
    """What DATABASES says of a database. Empty for one that it does not have."""
    return dict(django_settings.DATABASES.get(alias, {}))


# Apps that give each tenant a schema of its own, chosen by the host of the request.
SCHEMA_TENANTS = ("django_tenants", "tenant_schemas", "django_pgschemas")


def find_schema_tenants() -> str:
    """The first thing of such an app that the site's settings name; "" if there is none."""
    engines = [database.get("ENGINE", "") for database in django_settings.DATABASES.values()]
    named = [*django_settings.INSTALLED_APPS, *django_settings.MIDDLEWARE, *django_settings.DATABASE_ROUTERS, *engines]
    return next((name for name in map(str, named) if name.partition(".")[0] in SCHEMA_TENANTS), "")


def default_layer() -> dict[str, Any]:
    return dict(getattr(django_settings, "CHANNEL_LAYERS", {}).get("default", {}))


def asgi_application_path() -> str:
    """ASGI_APPLICATION as `module:name`. Raises ImproperlyConfigured when it is not set."""
    path = getattr(django_settings, "ASGI_APPLICATION", None)
    if not path:
        raise ImproperlyConfigured("Set ASGI_APPLICATION to the path of your ASGI application.")
    module, _, name = str(path).rpartition(".")
    return f"{module}:{name}"


def default_language() -> str:
    return str(django_settings.LANGUAGE_CODE)
