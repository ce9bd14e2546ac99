"""Addresses of the REST API in frames: as the site has included and mounted them. Called by feeds and replays."""

from django.urls import NoReverseMatch, get_script_prefix, reverse

from realtime.protocol.streams import split_stream

# Where the site is mounted; the same for all requests and sockets of a process. Set by the routing.
_mount = "/"


def mount(script_name: str) -> None:
    """Note where the site is mounted: FORCE_SCRIPT_NAME, or the server's `root_path`; "" for the root."""
    global _mount
    _mount = script_name.rstrip("/") + "/"


def where_to_fetch(stream: str, since: int | None) -> str | None:
    """The REST address of the history after `since`, or of the newest history.

    None for streams that have none, and if the site does not include `realtime.urls`.
    """
    kind, name = split_stream(stream)
    try:
        if kind == "room":
            path = reverse("realtime:room-messages", args=[name])
        elif kind == "user":
            path = reverse("realtime:direct-messages")
        else:
            return None
    except NoReverseMatch:
        return None
    # Django's prefix belongs to the request that is handled, and here there is none.
    address = _mount + path.removeprefix(get_script_prefix())
    return address if since is None else f"{address}?after={since}"
