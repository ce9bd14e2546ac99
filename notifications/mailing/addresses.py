"""Addresses of the site, as mails need them: with a host, which no request names. Called by `messages`."""

from typing import Any
from urllib.parse import urlsplit

from django.urls import NoReverseMatch, reverse

from notifications import conf
from notifications.links import is_safe


def of_site(path: str = "") -> str:
    """A path of the site as an address; other addresses stay. Empty without the setting SITE_URL."""
    site = conf.settings().site_url.rstrip("/")
    if path and not path.startswith("/"):
        return path
    return site + path if site else ""


def of_notification(pk: int, link: str) -> str:
    """Where a mail leads: the address that marks the notification as read and goes on to its link."""
    try:
        return of_site(reverse("notifications:open", args=[pk]))
    except NoReverseMatch:  # the site has not included our addresses
        return of_site(link) if link and is_safe(link) else ""


def of_unsubscribing(token: str) -> str:
    try:
        return of_site(reverse("notifications:unsubscribe", args=[token]))
    except NoReverseMatch:
        return ""


def host() -> str:
    """The site's host, as headers have it."""
    name = urlsplit(conf.settings().site_url).hostname or "localhost"
    return name if name.isascii() else name.encode("idna").decode()


def site_name() -> str:
    return conf.settings().site_name or urlsplit(conf.settings().site_url).hostname or "localhost"


def is_included(name: str, *args: Any) -> bool:
    """Whether the site has included our addresses in its own."""
    try:
        reverse(name, args=args)
    except NoReverseMatch:
        return False
    return True
