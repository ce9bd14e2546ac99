"""A mail server for tests: real SMTP over TCP, which keeps what it gets and refuses what a test wants it to."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import django

from tests.patience import PATIENCE_SECONDS


@dataclass
class MailServer:
    """What has arrived, and what is refused: by the address of a recipient, or each time that something is sent."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    connections: int = 0
    refused: dict[str, str] = field(default_factory=dict)  # address -> the answer to RCPT
    data_answers: list[str] = field(default_factory=list)  # answers to the next mails, instead of 250
    sender_answers: list[str] = field(default_factory=list)  # the same to MAIL
    drops: int = 0  # so many times, the connection breaks when a mail has been sent
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def recipients(self) -> list[str]:
        return [str(mail["To"]) for mail in self.mails]


class Session(socketserver.StreamRequestHandler):
    """One connection."""

    server: "Listener"

    def handle(self) -> None:
        with self.server.kept.lock:
            self.server.kept.connections += 1
        self.answer("220 tests")
        while line := self.rfile.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            if not self.obey(verb.upper(), rest):
                return

    def obey(self, verb: str, rest: str) -> bool:
        """Returns whether the connection goes on."""
        if verb == "DATA":
            return self.take()
        if verb == "RCPT":
            address = rest.partition(":")[2].split()[0].strip("<>")
            self.answer(self.server.kept.refused.get(address, "250 fine"))
        elif verb == "MAIL":
            answers = self.server.kept.sender_answers
            self.answer(answers.pop(0) if answers else "250 fine")
        elif verb == "EHLO":
            self.answer("250-tests\r\n250-SIZE 1000000\r\n250 8BITMIME")
        else:
            self.answer("221 bye" if verb == "QUIT" else "250 fine")
        return verb != "QUIT"

    def take(self) -> bool:
        self.answer("354 go on")
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        kept = self.server.kept
        with kept.lock:
            if kept.drops:
                kept.drops -= 1
                return False
            answer = kept.data_answers.pop(0) if kept.data_answers else "250 taken"
            if answer.startswith("250"):
                kept.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))  # type: ignore[arg-type]
        self.answer(answer)
        return True

    def answer(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, kept: MailServer) -> None:
        self.kept = kept
        super().__init__(("127.0.0.1", 0), Session)
        kept.port = self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is not worth a traceback."""


@contextmanager
def run_mail_server() -> Iterator[MailServer]:
    kept = MailServer()
    with Listener(kept) as listener:
        # The loop looks for the end of the test that often; nothing else waits for it.
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield kept
        listener.shutdown()
        thread.join()


def settings_for(server: MailServer) -> dict[str, Any]:
    """Django's settings to send mails there."""
    backend = "django.core.mail.backends.smtp.EmailBackend"
    options = {"host": "127.0.0.1", "port": server.port, "timeout": PATIENCE_SECONDS}
    if django.VERSION >= (6, 1):
        return {"MAILERS": {"default": {"BACKEND": backend, "OPTIONS": options}}}
    return {"EMAIL_BACKEND": backend, **{f"EMAIL_{name.upper()}": value for name, value in options.items()}}


def texts_of(mail: EmailMessage) -> tuple[str, str]:
    """The plain text and the HTML."""
    plain, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    return plain.get_content(), html.get_content()
