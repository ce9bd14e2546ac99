"""Throttles: how often a name, an address or a user may make an expensive request. Named by the views.

Their limits are from `conf`. They count in Django's default cache, which all processes of a site must share. REST
framework's own ones read and write a count in two steps, between which other requests come.
"""

import ipaddress
import logging
import re
import time
from collections.abc import Iterable
from hashlib import sha256

from django.contrib.auth import get_user_model
from django.core.cache import cache
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from realtime.api.login_shapes import find_login_shape
from realtime.auth.users import normalize_name
from realtime.conf import settings

logger = logging.getLogger(__name__)

PART_SECONDS = 10  # of a minute
PARTS = 6  # in a minute
KEPT_SECONDS = 90  # a part, from its first request on: it lasts ten seconds and counts for sixty more

# The bits of an IPv6 address that are counted. A client can choose the rest freely, a new one for each attempt.
NETWORK_BITS = 64
# Some proxies add the client's port, which is another one for each connection: `192.0.2.1:5000`, `[2001:db8::1]:5000`.
WITH_PORT = re.compile(r"(?:\[([^\]]+)\](?::\d+)?|([\d.]+):\d+)\Z")


class CacheUnavailable(Exception):
    """The cache does not answer. Each cache backend has exceptions of its own for that; this one stands for all."""


class Cache:
    """Numbers in Django's default cache. Raises CacheUnavailable for each of its failures."""

    def read(self, keys: Iterable[str]) -> dict[str, int]:
        """Those of the numbers that are there."""
        try:
            # None is of a cache that conceals its failures.
            return cache.get_many(list(keys)) or {}
        except Exception as error:
            raise CacheUnavailable from error

    def increment(self, key: str, seconds: int) -> int:
        """Add one to the number, which is kept for `seconds` from its first increment. Returns the new number.

        That is one step in Redis, in Memcached and in memory: of two requests, each gets a number of its own.
        """
        try:
            cache.add(key, 0, seconds)
            return cache.incr(key) or 1
        except ValueError:  # it is gone already, as in a cache that keeps nothing
            return 1
        except Exception as error:
            raise CacheUnavailable from error


class MinuteThrottle(BaseThrottle):
    """Limits the requests of one minute. `scope` names the setting, `identify` returns who is counted.

    They are counted in parts of a minute. A part counts until all of it is a minute old, so there are never more
    requests in a minute than allowed.
    """

    scope = ""
    cache = Cache()
    timer = staticmethod(time.time)
    wait_seconds: float | None = None  # until the next request is allowed; set when one is refused

    def find_limit(self) -> int | None:
        """How many requests a client may make in a minute; 0 or None: any number."""
        limit: int | None = getattr(settings(), self.scope)
        return limit

    def identify(self, request: Request) -> str | None:
        """The client to count the request for; None for a request that does not count."""
        raise NotImplementedError

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Allow every request while the cache is unavailable: otherwise nobody could log in then."""
        limit = self.find_limit()
        who = self.identify(request) if limit else None
        if not limit or who is None:
            return True
        # A name or address as it was sent may be too long for a key, or contain characters that a key must not have.
        key = f"throttle_{self.scope}_{sha256(who.encode(errors='surrogatepass')).hexdigest()}"
        try:
            return self._count(key, limit)
        except CacheUnavailable as away:
            logger.warning("Attempts are not counted: the cache is away: %r", away.__cause__)
            return True

    def wait(self) -> float | None:
        """The seconds until the next request is allowed."""
        return self.wait_seconds

    def _count(self, key: str, limit: int) -> bool:
        """Whether the request is allowed. One that is refused does not count, unless it came together with others."""
        now = self.timer()
        part = int(now // PART_SECONDS)
        counts = self._read(key, part)
        if sum(counts.values()) < limit:
            number = self.cache.increment(f"{key}_{part}", KEPT_SECONDS)
            # What is counted in other parts at this moment: either this request sees it, or it sees this request.
            counts = {**self._read(key, part), part: number}
            if sum(counts.values()) <= limit:
                return True
        self.wait_seconds = _find_end(counts, limit) - now
        return False

    def _read(self, key: str, part: int) -> dict[int, int]:
        """The requests in each part that counts, by its number, the oldest first."""
        # And in the next one, of a process whose clock is ahead.
        keys = {number: f"{key}_{number}" for number in range(part - PARTS, part + 2)}
        found = self.cache.read(keys.values())
        return {number: found[name] for number, name in keys.items() if name in found}


def _find_end(counts: dict[int, int], limit: int) -> float:
    """When so many of the requests are old enough that one more is allowed."""
    left = sum(counts.values())
    for part in sorted(counts):
        left -= counts[part]
        if left < limit:
            break
    return (part + 1 + PARTS) * PART_SECONDS


class ClientThrottle(MinuteThrottle):
    """Counts by the client's address; by the address of its network for IPv6."""

    def get_ident(self, request: Request) -> str:
        given = str(super().get_ident(request))
        match = WITH_PORT.match(given)
        try:
            address = ipaddress.ip_address(match[1] or match[2] if match else given)
        except ValueError:
            # A client of a Unix socket has no address.
            return given
        if address.version == 4:
            return str(address)
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((int(address), NETWORK_BITS), strict=False))


class LoginThrottle(ClientThrottle):
    """Limits guesses of the password for one name, from one address."""

    scope = "logins_per_minute"

    def identify(self, request: Request) -> str | None:
        field = getattr(find_login_shape(), "username_field", get_user_model().USERNAME_FIELD)
        given = request.data.get(field) if isinstance(request.data, dict) else None
        if not isinstance(given, str | int | float):
            return None  # refused anyway; counted by AddressThrottle
        name = normalize_name(str(given))  # as LoginNames does
        return f"{self.get_ident(request)} {name.strip().casefold()}"


class AddressThrottle(ClientThrottle):
    """Limits guesses from one address, whatever the names."""

    scope = "logins_per_minute_per_address"

    def identify(self, request: Request) -> str:
        return str(self.get_ident(request))


class ChangeThrottle(MinuteThrottle):
    """Limits what one user changes, at all addresses that have no limit of their own together."""

    scope = "changes_per_minute"

    def identify(self, request: Request) -> str | None:
        if request.method in SAFE_METHODS:
            return None
        # A site may have a view for everybody, and may have set UNAUTHENTICATED_USER to None.
        return str(request.user.pk) if request.user and request.user.is_authenticated else None


class RoomThrottle(ChangeThrottle):
    """Limits the rooms that one user makes."""

    scope = "rooms_per_minute"
