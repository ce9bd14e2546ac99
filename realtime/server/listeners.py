"""The sockets on which `serve` listens. Bound before anything else, so that a port that is taken is reported at once.

Whoever accepts connections on them begins to listen. Called by `serve`.
"""

import errno
import socket

# What a name may have that this machine lacks: ::1 where there is no IPv6.
LACKING = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


def bind(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of `host` ("" means all of this machine's). With port 0, all get the same free one.

    Raises OSError.
    """
    listeners: list[socket.socket] = []
    lacking: OSError | None = None
    for family, _, protocol, _, address in socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        try:
            listeners.append(_bind(family, protocol, (address[0], port, *address[2:])))
        except OSError as error:
            if error.errno not in LACKING:
                close_all(listeners)
                raise
            lacking = error
        else:
            port = listeners[0].getsockname()[1]
    if not listeners and lacking is not None:
        raise lacking
    return listeners


def close_all(listeners: list[socket.socket]) -> None:
    for listener in listeners:
        listener.close()


def _bind(family: int, protocol: int, address: tuple[str | int, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Else "::" would take the port of all IPv4 addresses, too.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
    except (OSError, OverflowError):  # the latter for a port that is none
        listener.close()
        raise
    return listener
