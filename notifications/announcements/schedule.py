"""The job that lets announcements go live and end on time. Called by `jobs`; any number of processes may call it."""

import logging
from datetime import datetime

from django.db.models import Q

from notifications.announcements import publishing
from notifications.models import Announcement

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
        try:
            publishing.go_live(key, now, only_due=True)
        except ValueError:
            logger.exception("The announcement %s cannot be published", key)
    live = Announcement.objects.filter(state=State.LIVE)
    for announcement in live.filter(Q(ends_at__lte=now) | Q(reached__isnull=True)):
        if announcement.ends_at is not None and announcement.ends_at <= now:
            publishing.end(announcement.pk, now)
        else:  # the process that published it died before it had counted its audience
            publishing.count_reached(announcement)
