"""When a reader's next mail may go: at once, or with the digest. Pure. Called by `checking`."""

from datetime import datetime, time, timedelta

from notifications.models import Digest
from notifications.preferences.quiet import next_time
from notifications.preferences.store import Choices


def digest_at(choices: Choices, mailed_at: datetime | None, now: datetime) -> datetime | None:
    """When the digest is due; None if a mail may go now. Moments are aware.

    The first mail of a period goes at once, and what comes after it waits for the end of the period: an hour after that
    mail, or the next time that the reader has chosen.
    """
    if choices.digest == Digest.OFF or mailed_at is None:
        return None
    if choices.digest == Digest.HOURLY:
        due = mailed_at + timedelta(hours=1)
    else:
        weekday = choices.digest_weekday if choices.digest == Digest.WEEKLY else None
        due = next_time(mailed_at, time(choices.digest_hour), choices.zone, weekday)
    return due if due > now else None
