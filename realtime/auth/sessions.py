"""Django's sessions as sockets need them: the name of a login, when it ends, and nothing written.

Called by `identity`, the recheck, the clock, the API and the signals. Synchronous.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from typing import Any
from uuid import uuid4

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.contrib.sessions.backends.cached_db import SessionStore as CachedDbStore
from django.contrib.sessions.backends.db import SessionStore as DbStore
from django.contrib.sessions.backends.file import SessionStore as FileStore
from django.contrib.sessions.backends.signed_cookies import SessionStore as SignedStore
from django.core.signing import b62_decode
from django.utils import timezone

from realtime.auth.cache_ages import seconds_left
from realtime.auth.login_names import cookie_login
from realtime.conf import session_engine
from realtime.protocol.errors import ErrorCode, Reason, Refused
from realtime.storage.routed import exact

logger = logging.getLogger(__name__)

# What a session keeps of its login: a name that stays when Django gives it another key or, signed, another content.
LOGIN_KEY = "_realtime_login"
WRITES = ("create", "cycle_key", "delete", "flush", "save")


def open_session(key: str) -> Any:
    """The session with this key, to be read only.

    Django would move a session of an older SECRET_KEY to a new key, which the browser would not learn. It would delete
    one that it does not believe, and a file that is too old.
    """
    session = import_module(session_engine()).SessionStore(key)
    vars(session).update(dict.fromkeys(WRITES, lambda *_args, **_options: None))
    if isinstance(session, DbStore):
        _keep_row(session)
    return session


def _keep_row(session: Any) -> None:
    """Keep the row that Django reads: it forgets when the session ends."""
    read_row = session._get_session_from_db

    def read_and_keep() -> Any:
        session.row = read_row()
        return session.row

    session._get_session_from_db = read_and_keep


def is_logged_in(session: Any, user: Any) -> bool:
    """Whether this user is logged in by this session; None is no session."""
    return session is not None and str(session.get(SESSION_KEY, "")) == str(user.pk)


def note_login(session: SessionBase) -> None:
    """Name the login that a session has begun. A second login of the same user goes on with the first one's name."""
    if SESSION_KEY in session:
        # In a signed cookie the key is the content, and somebody else's may be the same.
        key = session.session_key if isinstance(session, DbStore | CacheStore | FileStore) else None
        session.setdefault(LOGIN_KEY, cookie_login(key or uuid4().hex))


def name_login(session: SessionBase, key: str | None) -> str:
    """The name of the session's login. One that was not noted is named after the session's key."""
    return str(session.get(LOGIN_KEY) or cookie_login(key or ""))


def find_end(session: Any) -> float:
    """When a session that has been read ends, as Unix time; if its cache does not say it, the latest possible time."""
    if (row := vars(session).get("row")) is not None:
        return float(row.expire_date.timestamp())
    kind = type(session)
    if issubclass(kind, DbStore | CacheStore):
        if (end := find_ends([session.session_key])[0]) is not None:
            return end
    elif issubclass(kind, SignedStore):
        return _find_end_of_signed(session)
    elif issubclass(kind, FileStore):
        with suppress(OSError):  # it has gone
            return float(session.get_expiry_date(modification=session._last_modification()).timestamp())
    return float(session.get_expiry_date().timestamp())


def _find_end_of_signed(session: Any) -> float:
    """Django refuses a cookie that was signed more than SESSION_COOKIE_AGE ago, whatever the session's own time is."""
    signed_at = b62_decode(session.session_key.rsplit(":", 2)[1])
    moment = datetime.fromtimestamp(signed_at, UTC if timezone.is_aware(timezone.now()) else None)
    own_end = session.get_expiry_date(modification=moment).timestamp()
    return float(min(own_end, signed_at + session.get_session_cookie_age()))


def find_ends(keys: Sequence[str]) -> list[float | None]:
    """When the sessions with these keys end, as Unix time; None for one that is gone.

    One query or one call of the cache for all, unless each session is a file or the engine is the site's own. Raises
    Refused while the cache is away.
    """
    kind = import_module(session_engine()).SessionStore
    found: dict[str, float] = {}
    if issubclass(kind, DbStore):
        rows = exact(kind.get_model_class().objects).filter(session_key__in=set(keys))
        found = {key: end.timestamp() for key, end in rows.values_list("session_key", "expire_date")}
    if issubclass(kind, CacheStore | CachedDbStore):
        found |= _find_cached(kind, set(keys) - found.keys())
    if not issubclass(kind, DbStore | CacheStore):
        found = {key: find_end(session) for key in keys if SESSION_KEY in (session := open_session(key))}
    return [found.get(key) for key in keys]


def are_found_at_once() -> bool:
    """Whether `find_ends` costs the same for many sessions as for one."""
    return issubclass(import_module(session_engine()).SessionStore, DbStore | CacheStore)


def can_be_read_again(session: Any) -> bool:
    """Whether the server sees that a session was prolonged. A signed one is in the browser's newer cookie alone."""
    return not isinstance(session, SignedStore)


def _find_cached(kind: Any, keys: Iterable[str]) -> dict[str, float]:
    names = {kind.cache_key_prefix + key: key for key in keys}
    if not names:
        return {}
    cache = kind()._cache
    try:
        contents = cache.get_many(names)
        left = seconds_left(cache, contents.keys())
    except Exception as error:  # each cache raises its own
        logger.warning("The cache that has the sessions is unavailable: %s", error)
        raise Refused(ErrorCode.UNAVAILABLE, Reason.TRY_AGAIN) from error
    now, found = time.time(), {}
    for name, content in contents.items():
        session = kind(names[name])
        session._session_cache = content
        age = left.get(name)
        found[names[name]] = session.get_expiry_date().timestamp() if age is None else now + age
    return found
