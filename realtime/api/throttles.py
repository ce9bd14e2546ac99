"""How often a name, an address or a user may ask for what is dear: throttles of REST framework, limits of `conf`.

They count in Django's default cache, which processes that serve one site must share. Named by the views.
"""

import ipaddress
import logging
from hashlib import sha256
from typing import Any

from django.core.cache import cache
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from realtime.api.serializers import LoginShape
from realtime.conf import settings

logger = logging.getLogger(__name__)

NETWORK_BITS = 64  # of an IPv6 address: the rest is the customer's own to choose, a new one for each attempt


class CacheUnavailable(Exception):
    """The cache does not answer. Each kind of cache has exceptions of its own for that."""


class Cache:
    """Django's default cache, with one word for all its failures."""

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
    """So many requests a minute as the setting `scope` says, for whoever `identify` names."""

    cache = Cache()  # type: ignore[assignment]  # it has what REST framework calls
    num_requests: int  # set from the rate, where there is one
    duration: int  # in seconds

    def get_rate(self) -> str | None:
        limit = getattr(settings(), str(self.scope))
        return f"{limit}/minute" if limit else None

    def identify(self, request: Request) -> str | None:
        """Who is asking; None for a request that does not count."""
        raise NotImplementedError

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        who = self.identify(request)
        if who is None:
            return None
        # A name or an address as it was sent may be too long for a key, or hold what a key may not.
        ident = sha256(who.encode(errors="surrogatepass")).hexdigest()
        return self.cache_format % {"scope": self.scope, "ident": ident}

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Without the cache nothing is counted: else nobody could log in while it is away."""
        try:
            return super().allow_request(request, view)
        except CacheUnavailable as away:
            logger.warning("Attempts are not counted: the cache is away: %r", away.__cause__)
            return True

    def wait(self) -> float:
        """Until the oldest of those that fill the limit is a minute old; there are more when the limit was lowered."""
        oldest = self.history[self.num_requests - 1]
        return float(oldest + self.duration - self.now)


class ClientThrottle(MinuteThrottle):
    """Counts for the address of a client, which under IPv6 is that of its network."""

    def get_ident(self, request: Request) -> str:
        given = str(super().get_ident(request))
        try:
            address = ipaddress.ip_address(given)
        except ValueError:  # a socket of the file system has none, and a proxy may write a port behind it
            return given
        if address.version == 4:
            return given
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((int(address), NETWORK_BITS), strict=False))


class LoginThrottle(ClientThrottle):
    """Guesses at one name's password."""

    scope = "logins_per_minute"

    def identify(self, request: Request) -> str | None:
        given = request.data.get(LoginShape.username_field) if isinstance(request.data, dict) else None
        if not isinstance(given, str | int | float):
            return None  # no name: refused, and counted for the address
        return f"{self.get_ident(request)} {str(given).strip().casefold()}"


class AddressThrottle(ClientThrottle):
    """Guesses at many names."""

    scope = "logins_per_minute_per_address"

    def identify(self, request: Request) -> str:
        return str(self.get_ident(request))


class RoomThrottle(MinuteThrottle):
    """Rooms that one user makes."""

    scope = "rooms_per_minute"

    def identify(self, request: Request) -> str | None:
        return None if request.method in SAFE_METHODS else str(request.user.pk)
