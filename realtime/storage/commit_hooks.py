"""What the app does after a commit: before the site's own `on_commit` hooks, and whatever these do. Called by delivery.

Django calls hooks in the order of their registration, and one that raises ends the run. So the hooks of the app go to
the front of the queue. Behind a slow one of the site, other transactions would overtake this one; behind one that
raises, a removal would be lost.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from functools import partial
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from realtime.storage.routed import alias, connection
from realtime.storage.transactions import is_in_transaction, is_manual


class CommitHook(ABC):
    """Called without arguments after the commit, in autocommit mode unless the site commits by hand."""

    @abstractmethod
    def __call__(self) -> None: ...


def on_commit(hook: CommitHook) -> None:
    """Call the hook when the caller's transaction commits; at once if there is none.

    It is dropped with the transaction, or with the block whose savepoint is rolled back.
    """
    if not is_in_transaction():
        hook()
        return
    _queue().insert(_end_of_hooks(), (set(connection.savepoint_ids), hook, True))
    if is_manual():
        database = connections[alias()]
        vars(database)["commit"] = partial(_commit_by_hand, database)


def find_last(*, of_same_savepoints: bool = False) -> CommitHook | None:
    """The hook that this transaction registered last; None if there is none, or if it was dropped.

    With `of_same_savepoints`, None also unless it is dropped whenever one that is registered now is. None also in
    Django's TestCase, where hooks stay in the queue after they were captured and called.
    """
    if _is_in_test_case() or not (end := _end_of_hooks()):
        return None
    savepoints, hook, _ = _queue()[end - 1]
    if of_same_savepoints and savepoints != set(connection.savepoint_ids):
        return None
    return hook if isinstance(hook, CommitHook) else None


def _queue() -> Any:
    """Django's hooks for this transaction: (ids of savepoints, function, whether others are called if it raises)."""
    return connection.run_on_commit


def _end_of_hooks() -> int:
    """The place behind the app's hooks in the queue.

    In Django's TestCase it is the end of the queue: nothing is committed there, and `captureOnCommitCallbacks` takes
    what was appended.
    """
    if _is_in_test_case():
        return len(_queue())
    return bisect_left(_queue(), True, key=lambda entry: not isinstance(entry[1], CommitHook))


def _is_in_test_case() -> bool:
    blocks: list[Any] = connection.atomic_blocks
    return bool(blocks) and bool(blocks[0]._from_testcase)


def _commit_by_hand(database: BaseDatabaseWrapper) -> None:
    """Stands in once for the method `commit` of a connection whose transactions the site commits by hand.

    Django would call the hooks when autocommit is turned on again, and would drop them if another transaction is
    rolled back before that.
    """
    type(database).commit(database)
    vars(database).pop("commit", None)
    queue, end = _queue(), _end_of_hooks()
    due, database.run_on_commit = queue[:end], queue[end:]
    for _, hook, _ in due:
        hook()
