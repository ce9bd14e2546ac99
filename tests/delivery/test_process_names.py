"""The names by which processes know each other."""

import os
import socket

import pytest

from realtime.delivery.process_names import name_process, read_name


def test_a_name_says_where_the_process_runs_and_is_given_once():
    one, other = name_process(), name_process()
    assert one != other
    assert read_name(one).pid == os.getpid()
    assert read_name(one).host.isascii()


@pytest.mark.parametrize("host", ["web-1.example.com", "a b_c", "主机", "x" * 300, ""])
def test_any_host_has_a_name(monkeypatch, host):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    name = name_process()
    assert len(name) < 100
    assert name.isascii()
    assert not set(name) & set(" :_")
    assert read_name(name).pid == os.getpid()


@pytest.mark.parametrize("name", ["", "p1", "web-1", "web-x-ff", "-1-ff"])
def test_a_name_of_another_form_is_all_host(name):
    assert read_name(name) == (name, 0)
