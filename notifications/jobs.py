"""The periodic jobs of the app, each run by one process of all when it is due.

Processes that serve sockets do it by themselves (`apps` registers `run_due`). A site without them calls
`manage.py run_notification_jobs` from cron, or `notifications.jobs.run_due` from a task queue, as often as it likes.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError

from notifications import clock, conf, dispatching, retention, summaries, waking, web_push
from notifications.announcements import schedule
from notifications.mailing import sending
from notifications.models import JobRun

logger = logging.getLogger(__name__)

ERROR_CHARS = 500


@dataclass(frozen=True, slots=True)
class Job:
    """`function` takes the moment. A run may outlast its period, so it must allow for another at the same time."""

    name: str
    function: Callable[[datetime], object]
    every_seconds: float


# In this order. Mails come last, because they take longest.
JOBS = (
    Job("wake", waking.wake, 5),
    Job("summaries", summaries.send_due, 5),
    Job("expire", waking.expire, 30),
    Job("announcements", schedule.keep_schedule, 5),
    Job("forget_changes", retention.forget_undone, 600),
    Job("retention", retention.prune_old, 3600),
    Job("dispatches", dispatching.run_due, 5),
    Job("web_pushes", web_push.send_due, 5),
    Job("mails", sending.send_due, 5),
)


def run_due() -> list[str]:
    """Run the jobs whose time has come and that nobody else has begun. Returns their names.

    A job that fails is logged, and runs again when it is due. Raises only if the database is away.
    """
    now = clock.now()
    due_at = dict(JobRun.objects.values_list("name", "due_at"))
    new = [JobRun(name=job.name, due_at=now) for job in JOBS if job.name not in due_at]
    if new:
        JobRun.objects.bulk_create(new, ignore_conflicts=True)
    due = [job for job in JOBS if due_at.get(job.name, now) <= now]
    return [job.name for job in due if _claim(job) and _run(job)]


def every_seconds() -> float:
    """How often processes that serve sockets call `run_due`; 0 for never."""
    return conf.settings().jobs_seconds


def _claim(job: Job) -> bool:
    """Whether the job is due and this process is the one to run it. The conditional UPDATE decides."""
    now = clock.now()
    due = JobRun.objects.filter(name=job.name, due_at__lte=now)
    return bool(due.update(due_at=now + timedelta(seconds=job.every_seconds), started_at=now, ended_at=None))


def _run(job: Job) -> bool:
    error = ""
    try:
        job.function(clock.now())
    except (OperationalError, InterfaceError):
        raise
    except Exception as failure:
        logger.exception("The job %s failed", job.name)
        error = repr(failure)[:ERROR_CHARS]
    JobRun.objects.filter(name=job.name).update(ended_at=clock.now(), error=error)
    return True
