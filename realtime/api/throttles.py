"""Throttles: how often a name, an address or a user may make an expensive request. Named by the views.

They are REST framework's, with limits from `conf`. They count in Django's default cache, which all processes of a site
must share.
"""

import ipaddress
import logging
import re
import unicodedata
from hashlib import sha256
from typing import Any

from django.contrib.auth import get_user_model
from django.core.cache import cache
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from realtime.api.login_shapes import find_login_shape
from realtime.conf import settings

logger = logging.getLogger(__name__)

# The bits of an IPv6 address that are counted. A client can choose the rest freely, a new one for each attempt.
NETWORK_BITS = 64
# Some proxies add the client's port, which is another one for each connection: `192.0.2.1:5000`, `[2001:db8::1]:5000`.
WITH_PORT = re.compile(r"(?:\[([^\]]+)\](?::\d+)?|([\d.]+):\d+)\Z")


class CacheUnavailable(Exception):
    """The cache does not answer. Each cache backend has exceptions of its own for that; this one stands for all."""


class Cache:
    """Django's default cache. Raises CacheUnavailable for each of its failures."""

    def get(self, key: str, default: Any) -> Any:
        try:
            return cache.get(key, default)
        except Exception as error:
            raise CacheUnavailable from error

    def set(self, key: str, value: Any, seconds: float) -> None:
        try:
            cache.set(key, value, seconds)
        except Exception as error:
            raise CacheUnavailable from error


class MinuteThrottle(SimpleRateThrottle):
    """Limits the requests of one minute. `scope` names the setting, `identify` returns who is counted."""

    cache = Cache()  # type: ignore[assignment]  # has all that REST framework calls
    num_requests: int  # set from the rate, if there is one
    duration: int  # in seconds

    def get_rate(self) -> str | None:
        limit = self.find_limit()
        return f"{limit}/minute" if limit else None

    def find_limit(self) -> int | None:
        """How many requests a client may make in a minute; 0 or None: any number."""
        limit: int | None = getattr(settings(), str(self.scope))
        return limit

    def identify(self, request: Request) -> str | None:
        """The client to count the request for; None for a request that does not count."""
        raise NotImplementedError

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        who = self.identify(request)
        if who is None:
            return None
        # A name or address as it was sent may be too long for a key, or contain characters that a key must not have.
        ident = sha256(who.encode(errors="surrogatepass")).hexdigest()
        return self.cache_format % {"scope": self.scope, "ident": ident}

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Allow every request while the cache is unavailable: otherwise nobody could log in then."""
        try:
            return super().allow_request(request, view)
        except CacheUnavailable as away:
            logger.warning("Attempts are not counted: the cache is away: %r", away.__cause__)
            return True

    def wait(self) -> float:
        """The seconds until the next request is allowed."""
        # This is when the oldest of the last `num_requests` is a minute old. The history is longer than that when the
        # limit was lowered.
        oldest = self.history[self.num_requests - 1]
        return float(oldest + self.duration - self.now)


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
        name = unicodedata.normalize("NFKC", str(given))  # as LoginNames does
        return f"{self.get_ident(request)} {name.strip().casefold()}"


class AddressThrottle(ClientThrottle):
    """Limits guesses from one address, whatever the names."""

    scope = "logins_per_minute_per_address"

    def identify(self, request: Request) -> str:
        return str(self.get_ident(request))


class RoomThrottle(MinuteThrottle):
    """Limits the rooms that one user makes."""

    scope = "rooms_per_minute"

    def identify(self, request: Request) -> str | None:
        return None if request.method in SAFE_METHODS else str(request.user.pk)
