"""The port of `serve`, before anybody listens on it."""

import errno
import gc
import os
import socket

import pytest

from realtime.server import listeners
from realtime.server.listeners import bind, close_all


@pytest.fixture
def bound():
    opened = []

    def bind_and_note(*where):
        opened.extend(bind(*where))
        return opened

    yield bind_and_note
    close_all(opened)


@pytest.fixture
def taken():
    """A port of 127.0.0.1 on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def name_addresses(monkeypatch, *addresses):
    """Let every name have these addresses."""
    found = [
        (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)
        for address in addresses
    ]
    monkeypatch.setattr(
        listeners.socket,
        "getaddrinfo",
        lambda _host, port, **_: [
            (*kind, (address, port, 0, 0) if ":" in address else (address, port)) for *kind, address in found
        ],
    )


def test_it_binds_and_does_not_listen(bound):
    """A client that comes before the site has been loaded is refused, and not left waiting."""
    (listener,) = bound("127.0.0.1", 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.getsockname())


def test_it_finds_a_free_port_for_all_addresses(bound, monkeypatch):
    name_addresses(monkeypatch, "127.0.0.1", "127.0.0.2")
    ports = {listener.getsockname()[1] for listener in bound("both", 0)}
    assert len(ports) == 1
    assert ports != {0}


def test_it_takes_all_addresses_of_the_machine(bound):
    addresses = {listener.getsockname()[0] for listener in bound("", 0)}
    assert addresses in ({"0.0.0.0"}, {"0.0.0.0", "::"})


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", ""])
def test_a_port_that_is_taken(taken, host):
    with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
        bind(host, taken)


def test_it_keeps_no_address_when_another_one_is_taken(monkeypatch, taken):
    name_addresses(monkeypatch, "127.0.0.2", "127.0.0.1")
    with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
        bind("both", taken)
    gc.collect()  # a socket that is still open would be reported


def test_it_does_without_addresses_that_this_machine_lacks(bound, monkeypatch):
    """`localhost` names ::1 also where there is no IPv6. 192.0.2.1 is nobody's address (RFC 5737)."""
    name_addresses(monkeypatch, "192.0.2.1", "127.0.0.1")
    assert [listener.getsockname()[0] for listener in bound("both", 0)] == ["127.0.0.1"]


def test_an_address_that_is_not_this_machines(monkeypatch):
    name_addresses(monkeypatch, "192.0.2.1")
    with pytest.raises(OSError, match=os.strerror(errno.EADDRNOTAVAIL)):
        bind("elsewhere", 0)
