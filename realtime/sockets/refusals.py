"""How a command that failed is answered: the one place that turns exceptions into frames. Called by the edge."""

import logging
import secrets
import time

from django.utils.translation import gettext as _

from realtime.conf import settings
from realtime.delivery.connection import Connection
from realtime.protocol.commands import Invalid
from realtime.protocol.errors import CloseCode, Closed, ErrorCode, Refused
from realtime.protocol.frames import encode, make_error
from realtime.protocol.limits import ErrorBudget

logger = logging.getLogger(__name__)


def answer(connection: Connection, error: Exception, id: str | None) -> None:
    """The one place that turns an exception into a frame or a close."""
    if isinstance(error, Closed):
        connection.close(error)
    elif isinstance(error, Invalid):
        connection.send(encode(make_error(error, error.id)))
        _count_bad_frame(connection)
    elif isinstance(error, Refused):
        connection.send(encode(make_error(error, id)))
    else:
        reference = secrets.token_hex(4)
        logger.error("A command failed (reference %s)", reference, exc_info=error)
        refusal = Refused(ErrorCode.MESSAGE_PROCESSING_ERROR, _("Something went wrong on our side."))
        connection.send(encode(make_error(refusal, id, reference=reference)))


def _count_bad_frame(connection: Connection) -> None:
    if connection.errors is None:
        connection.errors = ErrorBudget(settings().bad_frames, settings().bad_frames_seconds)
    if not connection.errors.spend(time.monotonic()):
        connection.close(Closed(CloseCode.BAD_FRAMES, "TOO_MANY_ERRORS"))
