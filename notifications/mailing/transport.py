"""Hands mails to Django, over one connection for many of them, and says what a failure means. Called by `sending`."""

import re
import smtplib
import sys
from contextlib import suppress
from enum import StrEnum, auto
from typing import Any

from django.core import mail
from django.core.mail import EmailMessage


class Failure(StrEnum):
    UNKNOWN = auto()  # there is no such address
    REFUSED = auto()  # this mail was refused for its recipient
    INVALID = auto()  # this mail cannot be sent, now or later
    TEMPORARY = auto()  # it may be sent later
    AWAY = auto()  # no mail can be sent at the moment


SERVICE_CLOSES = 421
# RFC 1870: the mail is larger than the server takes, which it says as soon as it hears of the sender and the size.
TOO_LARGE = 552
# HTTP codes of a mail service that are about one mail. They may be about the account, too, so they are no end.
ABOUT_ONE_MAIL = {400, 406, 413, 422}
# RFC 3463: the address is bad. Other refusals may be about our server, and end some day.
IS_BAD_ADDRESS = re.compile(rb"\b5\.1\.\d")


class Transport:
    """The site's mail backend. Its connection is opened by the first mail, and again after an error."""

    def __init__(self) -> None:
        self._backend: Any = None
        self._has_sent = False  # over this connection
        # Whether the server could be reached. What fails before that says nothing about the mail.
        self.is_connected = False
        # Whether a mail service gives the mails ids of its own, by which it reports what has become of them.
        self.gives_ids = False

    def send(self, message: EmailMessage) -> str:
        """Send a mail; returns its id: that of the mail service or, without one, its own. Raises what Django raises."""
        try:
            try:
                self._hand_over(message)
            except smtplib.SMTPException as error:
                # Many servers take only so many mails over one connection.
                if not self._has_sent or _find_code(error) != SERVICE_CLOSES:
                    raise
                self.close()
                self._hand_over(message)
        except BaseException:
            self.close()
            raise
        own_id = message.extra_headers["Message-ID"]
        service_id = getattr(getattr(message, "anymail_status", None), "message_id", None)
        self.gives_ids = service_id not in (None, own_id)
        return str(service_id or own_id)

    def _hand_over(self, message: EmailMessage) -> None:
        self.is_connected = False
        if self._backend is None:
            self._backend = _open_backend()
        self._backend.open()
        self.is_connected = True
        self._backend.send_messages([message])
        self._has_sent = True

    def close(self) -> None:
        backend, self._backend, self._has_sent = self._backend, None, False
        if backend is not None:
            with suppress(Exception):
                backend.close()


def _open_backend() -> Any:
    """The default mailer of Django 6.1 or newer, else the backend that EMAIL_BACKEND names."""
    mailers = getattr(mail, "mailers", None)
    return mail.get_connection() if mailers is None else mailers.default


def classify(error: Exception) -> Failure:
    """What an exception of a server that was reached means for the mail, and for those that wait behind it."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        _code, text = next(iter(error.recipients.values()), (0, b""))
        return _by_code(_find_code(error), Failure.UNKNOWN if IS_BAD_ADDRESS.search(text) else Failure.REFUSED)
    if isinstance(error, smtplib.SMTPSenderRefused) and error.smtp_code == TOO_LARGE:
        return Failure.INVALID
    if isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPConnectError | smtplib.SMTPHeloError):
        return Failure.AWAY  # these are answers, too, but not to this mail
    if isinstance(error, smtplib.SMTPAuthenticationError | smtplib.SMTPServerDisconnected):
        return Failure.AWAY
    if isinstance(error, smtplib.SMTPResponseException):
        return _by_code(error.smtp_code, Failure.INVALID)
    if (failure := _classify_service(error)) is not None:
        return failure
    if isinstance(error, ValueError | smtplib.SMTPNotSupportedError):  # a wrong address or header
        return Failure.INVALID
    is_of_network = isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException)
    return Failure.AWAY if is_of_network else Failure.TEMPORARY


def _find_code(error: smtplib.SMTPException) -> int:
    """What the server has answered; 0 if it has not."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return int(next(iter(error.recipients.values()), (0, b""))[0])
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0


def _by_code(code: int, lasting: Failure) -> Failure:
    if code == SERVICE_CLOSES:
        return Failure.AWAY
    return lasting if code >= 500 else Failure.TEMPORARY


def _classify_service(error: Any) -> Failure | None:
    """What a mail service has answered to django-anymail; None if the kind of the exception says it."""
    anymail = sys.modules.get("anymail.exceptions")  # loaded, if its backend has raised this
    if anymail is None or not isinstance(error, anymail.AnymailError):
        return None
    if isinstance(error, anymail.AnymailRecipientsRefused):
        return Failure.REFUSED
    return Failure.TEMPORARY if error.status_code in ABOUT_ONE_MAIL else None
