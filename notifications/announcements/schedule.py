"""The job that lets announcements go live and end on time. Called by `jobs`; any number of processes may call it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import InterfaceError, OperationalError
from django.db.models import Q

from notifications.announcements import publishing
from notifications.models import Announcement
from realtime.integration import StoreUnavailable

logger = logging.getLogger(__name__)

State = Announcement.State


def keep_schedule(now: datetime) -> None:
    """Publish what is due, and end what is over. One that cannot be published does not keep the others waiting."""
    scheduled = Announcement.objects.filter(state=State.SCHEDULED, starts_at__lte=now)
    due = list(scheduled.order_by("starts_at").values_list("pk", "ends_at"))
    if any(ends_at is not None and ends_at <= now for _key, ends_at in due):
        # No process was running for so long that it would go live and end at once: nobody need hear of it.
        scheduled.filter(ends_at__lte=now).update(state=State.ENDED, over_at=now)
    for key, _ends_at in due:
        with _log_failure("published", key):
            publishing.go_live(key, now, only_due=True)
    live = Announcement.objects.filter(state=State.LIVE)
    for announcement in live.filter(Q(ends_at__lte=now) | Q(reached__isnull=True)):
        if announcement.ends_at is not None and announcement.ends_at <= now:
            publishing.end(announcement.pk, now)
        else:  # the process that published it died before it had counted its audience
            with _log_failure("counted", announcement.pk):
                publishing.count_reached(announcement)


@contextmanager
def _log_failure(what: str, key: int) -> Iterator[None]:
    """Log what an audience raises, so that the other announcements have their turn. It is tried again in the next run.

    A database that is away ends the run.
    """
    try:
        yield
    except (OperationalError, InterfaceError):
        raise
    except (StoreUnavailable, TimeoutError) as error:
        logger.warning("The announcement %s cannot be %s before it is known who is online: %s", key, what, error)
    except Exception:
        logger.exception("The announcement %s cannot be %s", key, what)
