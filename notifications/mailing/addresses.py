"""Addresses of the site, as mails need them: with a host, which no request names. Called by `messages`."""

from email.errors import HeaderParseError, InvalidHeaderDefect
from email.headerregistry import HeaderRegistry
from typing import Any
from urllib.parse import urlsplit

from django.urls import NoReverseMatch, get_script_prefix
from django.utils.encoding import iri_to_uri

from notifications import conf
from notifications.links import is_safe
from realtime.integration import find_path


def of_site(path: str = "") -> str:
    """A path below SITE_URL as an address; other addresses stay. Empty without that setting."""
    site = conf.settings().site_url.rstrip("/")
    if path and not path.startswith("/"):
        return path
    return site + path if site else ""


def of_notification(pk: int, link: str) -> str:
    """Where a mail leads: the address that marks the notification as read and goes on to its link."""
    try:
        return of_site(_find_path("notifications:open", pk))
    except NoReverseMatch:  # the site has not included our addresses
        return of_site(link) if link and is_safe(link) else ""


def of_unsubscribing(token: str) -> str:
    try:
        return of_site(_find_path("notifications:unsubscribe", token))
    except NoReverseMatch:
        return ""


def _find_path(name: str, *args: Any) -> str:
    """The path below SITE_URL, which has the prefix of a site that is not at the root. Raises NoReverseMatch.

    Django's own prefix is that of a request or a thread: the jobs have it under cron, and not in a server.
    """
    return "/" + find_path(name, *args).removeprefix(iri_to_uri(get_script_prefix()))


def host() -> str:
    """The site's host, as headers have it."""
    return _in_ascii(urlsplit(conf.settings().site_url).hostname or "localhost")


def in_ascii(address: str) -> str:
    """An address as headers have it: Python would encode other characters as those of a text, not of an address."""
    parts = urlsplit(address)
    name, colon, port = parts.netloc.partition(":")
    place = parts.netloc if parts.netloc.isascii() else _in_ascii(name) + colon + port
    return iri_to_uri(parts._replace(netloc=place).geturl())


def _in_ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()


def site_name() -> str:
    return conf.settings().site_name or urlsplit(conf.settings().site_url).hostname or "localhost"


def has_host(address: str) -> bool:
    """Whether the host and the port of an address are valid. Else no mail is built, or its links lead nowhere."""
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname or "", parts.port
        return bool(host.encode("idna"))
    except ValueError:
        return False


def is_sender(text: str) -> bool:
    """Whether a text is one address, perhaps with a name. Django sends no mail from anything else."""
    try:
        header: Any = HeaderRegistry()("From", text)
    except (HeaderParseError, IndexError):  # Python's parser fails for some texts
        return False
    is_wrong = any(isinstance(defect, InvalidHeaderDefect) for defect in header.defects)
    return not is_wrong and len(header.addresses) == 1 and bool(header.addresses[0].domain)


def is_included(name: str, *args: Any) -> bool:
    """Whether the site has included our addresses in its own."""
    try:
        find_path(name, *args)
    except NoReverseMatch:
        return False
    return True
