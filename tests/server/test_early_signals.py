"""Signals that come before a server is ready for them. With a whole site: tests.processes.test_develop."""

import signal
import subprocess
import sys

import pytest
import uvicorn

from realtime.server import reloader, supervisor
from realtime.server.early_signals import ending_at_once, interrupts_held_back
from realtime.server.reloader import Reloader, Watched
from tests.patience import PATIENCE_SECONDS

IMPORTING = """
print("importing", flush=True)
input()
from realtime.server.early_signals import ending_at_once
with ending_at_once():
    print("still there")
"""


def held_back():
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_an_interrupt_ends_a_process_that_imports_without_a_word():
    """Each worker left a traceback, because Ctrl-C goes to all processes of a terminal."""
    with interrupts_held_back():
        started = subprocess.Popen(
            [sys.executable, "-c", IMPORTING],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    assert not held_back()
    assert started.stdout is not None
    assert started.stdout.readline() == "importing\n"
    started.send_signal(signal.SIGINT)
    assert started.communicate("\n", PATIENCE_SECONDS)[0] == ""
    assert started.returncode == 0


def test_what_was_is_so_again():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with ending_at_once():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


@pytest.mark.parametrize("name", ["startup", "restart"])
def test_the_site_that_is_reloaded_starts_so(monkeypatch, name):
    found = []
    monkeypatch.setattr(reloader.BaseReload, name, lambda _self: found.append(held_back()))
    getattr(Reloader(uvicorn.Config(lambda: None), [], Watched([], [])), name)()
    assert (found, held_back()) == ([True], False)


def test_a_worker_starts_so(monkeypatch):
    found = []
    monkeypatch.setattr(supervisor.Worker.__base__, "start", lambda _self: found.append(held_back()))
    supervisor.Worker(uvicorn.Config(lambda: None), []).start()
    assert (found, held_back()) == ([True], False)
