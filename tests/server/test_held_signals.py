"""A signal is held until the sockets have been closed. Under real servers: tests/processes/test_servers.py."""

import asyncio
import os
import signal
import threading
from functools import partial

import pytest

from realtime.server import held_signals
from realtime.server.held_signals import HeldSignals
from tests.clients.socket import until

NUMBER = signal.SIGUSR1


class Process:
    def __init__(self) -> None:
        self.heard, self.sockets, self.is_closing = [], {"a": 1}, False
        self.seconds = 600.0
        self.signals = HeldSignals(self.begin, self.sockets, lambda: self.seconds)

    def begin(self) -> None:
        self.is_closing = True

    def on_signal(self, number, frame) -> None:
        self.heard.append(number)

    def pass_on(self, held, number, frame) -> None:
        held(number, frame)


@pytest.fixture
async def process(monkeypatch):
    monkeypatch.setattr(held_signals, "SIGNALS", (NUMBER,))
    monkeypatch.setattr(held_signals, "POLL_SECONDS", 0.001)
    before = signal.getsignal(NUMBER)
    process = Process()
    signal.signal(NUMBER, process.on_signal)
    try:
        yield process
    finally:
        process.signals.remove()
        signal.signal(NUMBER, before)


async def test_the_server_hears_of_it_when_the_sockets_have_been_closed(process):
    process.signals.install()
    process.signals.install()
    os.kill(os.getpid(), NUMBER)
    await until(lambda: process.is_closing)
    assert process.heard == []
    process.sockets.clear()
    await until(lambda: process.heard == [NUMBER])


async def test_the_server_hears_of_it_in_the_end(process):
    process.seconds = 0.01
    process.signals.install()
    os.kill(os.getpid(), NUMBER)
    await until(lambda: process.heard == [NUMBER])


async def test_the_second_signal_is_not_held(process):
    process.signals.install()
    os.kill(os.getpid(), NUMBER)
    await until(lambda: process.is_closing)
    os.kill(os.getpid(), NUMBER)
    assert process.heard == [NUMBER]
    process.sockets.clear()
    for _ in range(10):
        await asyncio.sleep(0.001)
    assert process.heard == [NUMBER]


async def test_it_gives_the_handlers_back(process):
    process.signals.install()
    process.signals.remove()
    assert signal.getsignal(NUMBER) == process.on_signal


async def test_it_leaves_a_handler_that_was_installed_later(process):
    process.signals.install()
    signal.signal(NUMBER, signal.SIG_IGN)
    process.signals.remove()
    assert signal.getsignal(NUMBER) is signal.SIG_IGN


async def test_a_handler_that_was_installed_later_can_still_pass_a_signal_on(process):
    """It raised KeyError in whatever was running, and the server never heard of the signal."""
    process.signals.install()
    held = signal.getsignal(NUMBER)
    signal.signal(NUMBER, partial(process.pass_on, held))
    process.signals.remove()
    os.kill(os.getpid(), NUMBER)
    assert process.heard == [NUMBER]
    assert not process.is_closing


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler])
async def test_it_stands_before_no_handler_but_a_servers(process, handler):
    signal.signal(NUMBER, handler)
    process.signals.install()
    assert signal.getsignal(NUMBER) == handler


async def test_only_the_main_thread_can_hold_signals(process):
    thread = threading.Thread(target=process.signals.install)
    thread.start()
    thread.join()
    assert signal.getsignal(NUMBER) == process.on_signal
