"""Sends the mails that are due, a page of readers after the other. Called by the jobs, in any number of workers.

Everything is checked at most a second before a mail is handed over: with a fast mail server, one check is enough for a
page, and what is read or withdrawn while a slow one works is not mailed. What was handed over is noted after a few
mails, or at once if a service may report about it. Only if a worker dies in between, the next one sends these again,
with the same Message-ID.
"""

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from django.core.mail import EmailMessage

from notifications import clock, conf
from notifications.mailing import bounces, claims, messages, queue, recipients
from notifications.mailing.checking import Checked, Letter, check
from notifications.mailing.claims import Claim
from notifications.mailing.transport import Failure, Transport, classify
from notifications.models import Delivery, Reader
from realtime.integration import StoreUnavailable, is_stopping, own_transaction, retry_conflicts

logger = logging.getLogger(__name__)

RUN_SECONDS = 20.0  # then other jobs have their turn
NOTED_AT_ONCE = 20  # mails
FRESH = timedelta(seconds=1)  # so long, what was checked holds
AGAIN = timedelta(minutes=1)  # while nothing can be sent
# Whole numbers: MAIL_ATTEMPTS may be so many that the pause before the last one would be too large for a float.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, PAUSE_GROWS = 60, 43_200, 4

Build = Callable[[Letter], EmailMessage | None]


class NothingCanBeSent(Exception):
    """The mail server is away, or it cannot be known who is."""


def send_due(_now: datetime) -> None:
    """Send the mails that are due, for some seconds at most. It looks at the clock again for each page."""
    if not conf.settings().mail:
        return
    ends = time.monotonic() + RUN_SECONDS
    transport = Transport()
    try:
        while not is_stopping() and time.monotonic() < ends and (claimed := claims.claim(clock.now())):
            _send_page(claimed, transport)
    except NothingCanBeSent as reason:
        logger.warning("Mails are postponed: %s", reason)
    finally:
        transport.close()


def _send_page(claimed: Claim, transport: Transport) -> None:
    """Raises NothingCanBeSent, after which all that is left of the page waits."""
    waiting = claimed.deliveries
    while waiting and not _must_end(claimed):
        waiting = _send_some(claimed, waiting, transport)
    claims.settle(claimed, waiting)


def _send_some(claimed: Claim, deliveries: Sequence[Delivery], transport: Transport) -> list[Delivery]:
    """Check them, and send their mails as long as that is fresh. Returns the deliveries that are left."""
    checked_at = clock.now()
    checked = _check(claimed, deliveries, checked_at)
    _settle_checked(claimed, checked)
    waiting, build = deque(checked.letters), messages.load(checked.letters)
    away = _hand_over(claimed, _while_fresh(claimed, waiting, checked_at + FRESH), build, transport)
    left = _deliveries(waiting)
    if away:
        claims.postpone(left, clock.now() + AGAIN, "waiting")
        claims.settle(claimed, left)
        raise NothingCanBeSent(away)
    return left


@retry_conflicts
def _settle_checked(claimed: Claim, checked: Checked) -> None:
    """Readers may have taken something back, or chosen something else, since it was looked at."""
    with own_transaction():
        own = claims.settle(claimed, checked.settled)
        settled = [delivery for delivery in checked.settled if delivery.pk in own]
        queue.put_back_outdated(settled, checked.wishes, clock.now())


def _hand_over(claimed: Claim, letters: Iterable[Letter], build: Build, transport: Transport) -> str:
    """Send mails, and note what has become of them, whatever fails. Returns why no other can be sent, if so."""
    tried: list[Letter] = []
    away = ""
    try:
        for letter in letters:
            tried.append(letter)
            away = _send(letter, build, transport)
            if away:
                break
            # A report about an id that is not noted yet would be lost: a service may send it within a second.
            if transport.gives_ids or len(tried) == NOTED_AT_ONCE:
                _note(claimed, tried)
                tried = []
    finally:
        _note(claimed, tried)
    return away


def _while_fresh(claimed: Claim, waiting: deque[Letter], until: datetime) -> Iterator[Letter]:
    """Take one letter after the other until this moment, but at least one unless the claim ends."""
    is_first = True
    while waiting and not _must_end(claimed) and (is_first or clock.now() < until):
        is_first = False
        yield waiting.popleft()


def _check(claimed: Claim, deliveries: Sequence[Delivery], now: datetime) -> Checked:
    try:
        return check(deliveries, now)
    except (StoreUnavailable, TimeoutError) as error:
        claims.postpone(deliveries, now + AGAIN, "presence")
        claims.settle(claimed, deliveries)
        raise NothingCanBeSent(f"it cannot be known who is online: {error}") from error


def _must_end(claimed: Claim) -> bool:
    """Whether the process stops, or the mail server is so slow that another worker would soon claim the same mails."""
    return is_stopping() or clock.now() + AGAIN >= claimed.until


def _send(letter: Letter, build: Build, transport: Transport) -> str:
    """Send one mail, and write on its deliveries what has become of it. Returns why no other can be sent, if so."""
    try:
        message = build(letter)
    except Exception as error:  # of the site's templates and functions, so it says nothing about the mail server
        return _note_failure(letter, error, Failure.TEMPORARY)
    if message is None:
        claims.suppress(letter.deliveries, "deleted")
        return ""
    try:
        message_id = transport.send(message)
    except Exception as error:
        return _note_failure(letter, error, classify(error)) if transport.is_connected else _put_off(letter, error)
    for delivery in letter.deliveries:
        delivery.state, delivery.sent_at, delivery.reason = Delivery.State.SENT, clock.now(), ""
        delivery.attempts, delivery.message_id, delivery.error = delivery.attempts + 1, message_id, ""
    return ""


def _put_off(letter: Letter, error: Exception) -> str:
    """The server is away, or its certificate or the settings are wrong. Nothing was tried, however long that lasts."""
    claims.postpone(letter.deliveries, clock.now() + AGAIN, "waiting")
    for delivery in letter.deliveries:
        delivery.error = repr(error)
    return repr(error)


def _note_failure(letter: Letter, error: Exception, failure: Failure) -> str:
    text = repr(error)
    if failure is Failure.TEMPORARY:
        logger.warning("A mail was not sent", exc_info=error)
    # One pause for all: what is tried again at different moments would be several mails.
    again_at = clock.now() + _pause(max(delivery.attempts for delivery in letter.deliveries) + 1)
    for delivery in letter.deliveries:
        delivery.attempts, delivery.error = delivery.attempts + 1, text
        if failure in (Failure.UNKNOWN, Failure.REFUSED):
            delivery.state, delivery.reason = Delivery.State.BOUNCED, "refused"
        elif failure is Failure.INVALID or delivery.attempts >= conf.settings().mail_attempts:
            delivery.state = Delivery.State.FAILED
        else:
            delivery.due_at, delivery.reason = again_at, "waiting"
    letter.is_bad_address = failure is Failure.UNKNOWN
    return text if failure is Failure.AWAY else ""


def _pause(attempts: int) -> timedelta:
    """A minute, four, sixteen …, each somewhat longer or shorter, so that not all come back at once."""
    seconds = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * PAUSE_GROWS ** (attempts - 1))
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))


def _note(claimed: Claim, tried: Sequence[Letter]) -> None:
    """Store what has become of these mails. For those who have got one, a new period of the digest begins."""
    claims.settle(claimed, _deliveries(tried))
    sent = [letter for letter in tried if letter.in_turn and letter.deliveries[0].state == Delivery.State.SENT]
    periods = [Reader(user_id=letter.user.pk, mailed_at=letter.deliveries[0].sent_at) for letter in sent]
    recipients.note(sorted(periods, key=lambda reader: reader.user_id), "mailed_at")
    for letter in tried:
        if letter.is_bad_address:
            bounces.note_bad_address(letter.user.pk, letter.address)


def _deliveries(letters: Iterable[Letter]) -> list[Delivery]:
    return [delivery for letter in letters for delivery in letter.deliveries]
