"""The periodic jobs of the app, each run by one process of all when it is due.

Processes that serve sockets do it by themselves (`apps` calls `register`). A site without them calls
`manage.py run_notification_jobs` from cron, or `notifications.jobs.run_due` from a task queue, as often as it likes.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db.models import DateTimeField, F, Q, Value
from django.db.models.functions import Now

from notifications import clock, conf, dispatching, retention, summaries, waking, web_push
from notifications.announcements import schedule
from notifications.mailing import sending
from notifications.models import JobRun
from realtime.integration import connection, own_statement, own_transaction, register_job, retry_conflicts

logger = logging.getLogger(__name__)

ERROR_CHARS = 500
# Whoever looks once in each period looks a little earlier or later each time, and would miss every second turn.
EARLY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Job:
    """`function` takes the moment. A run may outlast its period, so it must allow for another at the same time.

    It returns True if its time was up before all was done: so the others have their turn. With `needs_presence`, it
    waits for Redis in processes that serve sockets: meanwhile it is not known who has come.
    """

    name: str
    function: Callable[[datetime], object]
    every_seconds: float
    needs_presence: bool = False


# In this order. Announcements have to be on time, and mails take longest.
JOBS = (
    Job("announcements", schedule.keep_schedule, 5),
    Job("wake", waking.wake, 5),
    Job("summaries", summaries.send_due, 5),
    Job("expire", waking.expire, 30),
    Job("forget_changes", retention.forget_undone, 600),
    Job("retention", retention.prune_old, 3600),
    Job("dispatches", dispatching.run_due, 5),
    Job("web_pushes", web_push.send_due, 5),
    Job("mails", sending.send_due, 5, needs_presence=True),
)


def run_due() -> list[str]:
    """Run the jobs whose time has come and that nobody else has begun. Returns their names.

    One whose time was up goes on when each other one has had its turn, until all is done. A job that fails is logged,
    and runs again when it is due. Raises only if the database is away.
    """
    found: dict[str, bool] = {}
    while True:
        found |= (ran := _run_those(JOBS))
        if not any(ran.values()):
            return list(found)


def register() -> None:
    """Let the processes that serve sockets run the jobs. Called once by `apps`.

    Each has a thread of its own: it may wait for a mail server or a function of the site, which may hang, or for the
    database, and the others have to be on time. In the database, one process claims each run.
    """
    for job in JOBS:
        run, period = partial(run_alone, job.name), partial(_look_every, job)
        register_job(f"notifications.{job.name}", run, period, claims_itself=not job.needs_presence)


def run_alone(name: str) -> list[str]:
    """One of them, if it is due, as long as its time is not up."""
    return list(_run_those([job for job in JOBS if job.name == name]))


def _run_those(jobs: Sequence[Job]) -> dict[str, bool]:
    """Returns which were run, and whether they have left something."""
    left: dict[str, timedelta] = dict(JobRun.objects.values_list("name", F("due_at") - _now()))
    new = [JobRun(name=job.name, due_at=_now()) for job in jobs if job.name not in left]
    if new:
        _note_new(new)
    due = [job for job in jobs if job.name not in left or not EARLY < left[job.name] <= _period(job)]
    return {job.name: _run(job) for job in due if _claim(job)}


@retry_conflicts
def _note_new(runs: list[JobRun]) -> None:
    with own_transaction():
        JobRun.objects.bulk_create(runs, ignore_conflicts=True)


def _now() -> Any:
    """By the clock of the database, because those of servers differ. SQLite is where all its processes are."""
    is_shared = connection.vendor == "postgresql" and clock.stand_in is None
    return Now() if is_shared else Value(clock.now(), DateTimeField())


def _period(job: Job) -> timedelta:
    return timedelta(seconds=job.every_seconds)


def every_seconds() -> float:
    """How often processes that serve sockets look for work that is due; 0 for never."""
    return conf.settings().jobs_seconds


def _look_every(job: Job) -> float:
    """The same for one job. One of every hour need not be looked for every few seconds."""
    return every_seconds() and max(every_seconds(), job.every_seconds / 60)


@retry_conflicts
def _claim(job: Job) -> bool:
    """Whether the job is due and this process is the one to run it. The conditional UPDATE decides.

    What would be due later than a period from now was noted before the clock went back: that is no reason to wait.
    """
    now = _now()
    due = JobRun.objects.filter(Q(due_at__lte=now + EARLY) | Q(due_at__gt=now + _period(job)), name=job.name)
    with own_statement():
        return bool(due.update(due_at=now + _period(job), started_at=now, ended_at=None))


def _run(job: Job) -> bool:
    """Returns whether it has left something."""
    is_left = False
    try:
        with web_push.left_to_jobs():
            is_left = job.function(clock.now()) is True
    except Exception as failure:
        _note_end(job, repr(failure)[:ERROR_CHARS])  # which raises if the database is away: then no other can run
        logger.exception("The job %s failed", job.name)
    else:
        _note_end(job, **({"due_at": _now()} if is_left else {}))
    return is_left


@retry_conflicts
def _note_end(job: Job, error: str = "", **values: Any) -> None:
    with own_statement():
        JobRun.objects.filter(name=job.name).update(ended_at=_now(), error=error, **values)
