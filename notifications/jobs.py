"""The periodic jobs of the app, each run by one process of all when it is due.

Processes that serve sockets do it by themselves (`apps` calls `register`). A site without them calls
`manage.py run_notification_jobs` from cron, or `notifications.jobs.run_due` from a task queue, as often as it likes.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from notifications import clock, conf, dispatching, retention, summaries, waking, web_push
from notifications.announcements import schedule
from notifications.mailing import sending
from notifications.models import JobRun
from realtime.integration import register_job, retry_conflicts

logger = logging.getLogger(__name__)

ERROR_CHARS = 500


@dataclass(frozen=True, slots=True)
class Job:
    """`function` takes the moment. A run may outlast its period, so it must allow for another at the same time.

    In a server, one that `is_slow` has a thread of its own: it waits for a mail server or a function of the site, which
    may hang, or deletes a million rows, and the others have to be on time.
    """

    name: str
    function: Callable[[datetime], object]
    every_seconds: float
    is_slow: bool = False


# In this order. Mails come last, because they take longest.
JOBS = (
    Job("wake", waking.wake, 5),
    Job("summaries", summaries.send_due, 5),
    Job("expire", waking.expire, 30),
    Job("announcements", schedule.keep_schedule, 5),
    Job("forget_changes", retention.forget_undone, 600),
    Job("retention", retention.prune_old, 3600, is_slow=True),
    Job("dispatches", dispatching.run_due, 5),
    Job("web_pushes", web_push.send_due, 5, is_slow=True),
    Job("mails", sending.send_due, 5, is_slow=True),
)


def run_due() -> list[str]:
    """Run the jobs whose time has come and that nobody else has begun. Returns their names.

    A job that fails is logged, and runs again when it is due. Raises only if the database is away.
    """
    return _run_those(JOBS)


def register() -> None:
    """Let the processes that serve sockets run the jobs. Called once by `apps`."""
    register_job("notifications", run_quick, every_seconds)
    for job in JOBS:
        if job.is_slow:
            register_job(f"notifications.{job.name}", partial(run_alone, job.name), partial(_look_every, job))


def run_quick() -> list[str]:
    """`run_due` for all but the slow ones."""
    return _run_those([job for job in JOBS if not job.is_slow])


def run_alone(name: str) -> list[str]:
    """`run_due` for one of them."""
    return _run_those([job for job in JOBS if job.name == name])


def _run_those(jobs: Sequence[Job]) -> list[str]:
    now = clock.now()
    due_at = dict(JobRun.objects.values_list("name", "due_at"))
    new = [JobRun(name=job.name, due_at=now) for job in jobs if job.name not in due_at]
    if new:
        retry_conflicts(JobRun.objects.bulk_create)(new, ignore_conflicts=True)
    due = [job for job in jobs if due_at.get(job.name, now) <= now]
    return [job.name for job in due if _claim(job) and _run(job)]


def every_seconds() -> float:
    """How often processes that serve sockets look for work that is due; 0 for never."""
    return conf.settings().jobs_seconds


def _look_every(job: Job) -> float:
    """The same for a job alone. One of every hour need not be looked for every few seconds."""
    return every_seconds() and max(every_seconds(), job.every_seconds / 60)


@retry_conflicts
def _claim(job: Job) -> bool:
    """Whether the job is due and this process is the one to run it. The conditional UPDATE decides."""
    now = clock.now()
    due = JobRun.objects.filter(name=job.name, due_at__lte=now)
    return bool(due.update(due_at=now + timedelta(seconds=job.every_seconds), started_at=now, ended_at=None))


def _run(job: Job) -> bool:
    try:
        with web_push.left_to_jobs():
            job.function(clock.now())
    except Exception as failure:
        _note_end(job, repr(failure)[:ERROR_CHARS])  # which raises if the database is away: then no other can run
        logger.exception("The job %s failed", job.name)
    else:
        _note_end(job)
    return True


@retry_conflicts
def _note_end(job: Job, error: str = "") -> None:
    JobRun.objects.filter(name=job.name).update(ended_at=clock.now(), error=error)
