"""Whether this process has made an application that serves our sockets. `realtime.routing` notes it, `process` asks.

The application itself does not tell: a site may have put a middleware around it.
"""

_is_made = False


def note_made() -> None:
    global _is_made
    _is_made = True


def is_made() -> bool:
    return _is_made
