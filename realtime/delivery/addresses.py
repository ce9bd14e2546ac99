"""Addresses of the REST API: as the site has included and mounted them. Called by feeds, replays, pages and mails."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import lru_cache
from typing import Any

from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.urls import NoReverseMatch, URLResolver, get_resolver, get_script_prefix, get_urlconf, reverse
from django.utils.translation import get_language, get_supported_language_variant, override

from realtime import conf
from realtime.protocol.streams import split_stream

# Where the site is mounted; the same for all requests and sockets of a process. Set by the routing.
_mount = "/"


def mount(script_name: str) -> None:
    """Note where the site is mounted: FORCE_SCRIPT_NAME, or the server's `root_path`; "" for the root."""
    global _mount
    _mount = script_name.rstrip("/") + "/"


def find_path(name: str, *args: Any) -> str:
    """Django's `reverse` for a name such as `realtime:rooms`, also where the site has included it in a namespace.

    Raises NoReverseMatch if the site has not included it at all.
    """
    app, _, page = name.partition(":")
    resolver = get_resolver(get_urlconf())
    with _language_of(resolver):
        try:
            return reverse(name, args=args)
        except NoReverseMatch:
            for namespace in _find_namespaces(resolver, app):
                with suppress(NoReverseMatch):
                    return reverse(f"{namespace}:{page}", args=args)
            raise


def _language_of(resolver: URLResolver) -> AbstractContextManager[object]:
    """For `i18n_patterns`: the active language, as the site calls it in LANGUAGES.

    Where no request is handled it is LANGUAGE_CODE. Below `en-us`, a site with the language `en` finds no address.
    """
    urlconf: Any = resolver.urlconf_name
    in_use, also_default = is_language_prefix_patterns_used(urlconf)
    if not (in_use and also_default):
        return nullcontext()
    try:
        return override(get_supported_language_variant(get_language() or conf.default_language()))
    except LookupError:
        return nullcontext()


@lru_cache(maxsize=8)
def _find_namespaces(resolver: URLResolver, app: str) -> tuple[str, ...]:
    return tuple(_walk(resolver, app))


def _walk(resolver: URLResolver, app: str) -> Iterator[str]:
    """All namespaces of the app, such as `v1:realtime`, from the outermost on."""
    yield from resolver.app_dict.get(app, ())
    for name, (_, inner) in resolver.namespace_dict.items():
        yield from (f"{name}:{found}" for found in _walk(inner, app))


def where_to_fetch(stream: str, since: int | None) -> str | None:
    """The REST address of the history after `since`, or of the newest history.

    None for streams that have none, and if the site does not include `realtime.urls`.
    """
    kind, name = split_stream(stream)
    try:
        if kind == "room":
            path = find_path("realtime:room-messages", name)
        elif kind == "user":
            path = find_path("realtime:direct-messages")
        else:
            return None
    except NoReverseMatch:
        return None
    # Django's prefix belongs to the request that is handled, and here there is none.
    address = _mount + path.removeprefix(get_script_prefix())
    return address if since is None else f"{address}?after={since}"
