"""The ports of the programs that tests start."""

import socket

import pytest

from tests.sites.processes import free_port


def test_a_free_port_is_given_to_nobody_else_also_while_its_server_is_stopped():
    port = free_port()
    for _ in range(2):
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))  # as the system does it for who takes any port
        with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
            pass
