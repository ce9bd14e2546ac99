"""The app's own transactions: READ COMMITTED on every site, and honest about a COMMIT that was not answered.

Synchronous. Used by the log and by chat; a transaction of the site contains them as savepoints.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from django.db import InterfaceError, OperationalError, transaction

from realtime.storage.routed import alias, connection

P = ParamSpec("P")
T = TypeVar("T")

# serialization_failure and deadlock_detected: PostgreSQL has rolled the transaction back, and it may be tried again.
CONFLICTS = ("40001", "40P01")
ATTEMPTS = 5
LOOK_SECONDS = 3  # how long a look may wait for a transaction that is still under way

# By driver connection, whether transactions on it (True) and single statements (False) are READ COMMITTED.
_read_committed: "WeakKeyDictionary[Any, dict[bool, bool]]" = WeakKeyDictionary()


class OutcomeUnknown(OperationalError):
    """The connection broke before COMMIT was answered: the transaction may or may not have been committed."""


@contextmanager
def own_transaction(*, savepoint: bool = True) -> Iterator[None]:
    """Like `transaction.atomic()`, for the app's own short transactions.

    They are READ COMMITTED: they wait for each other at locked rows. With a stricter default of the site, whoever
    waited would get an error. `savepoint` is Django's, for a transaction of the caller's. Raises OutcomeUnknown if
    COMMIT was sent and not answered; after any other exception, nothing is stored.
    """
    if is_in_transaction():
        with transaction.atomic(using=alias(), savepoint=savepoint):
            yield
        return
    ended = False
    try:
        with transaction.atomic(using=alias()):
            _require_read_committed()
            yield
            ended = True
    except (OperationalError, InterfaceError) as error:
        if ended and not _is_answer(error):
            raise OutcomeUnknown(*error.args) from error
        raise


def own_statement() -> AbstractContextManager[None]:
    """`own_transaction` for a single UPDATE, which needs none where statements are READ COMMITTED by themselves.

    Django's `delete` and `bulk_create` are more than a statement.
    """
    return nullcontext() if is_in_transaction() or _are_read_committed() else own_transaction()


def call_after_commit(function: Callable[[], object]) -> None:
    """Call a function of the site's when the transaction commits, in the order of the site's own hooks.

    What it raises is logged. Unlike a hook of the app's own, it may be slow.
    """
    transaction.on_commit(function, using=alias(), robust=True)


def is_in_transaction() -> bool:
    """Whether the caller is in a transaction: in a block of Django's, or in one that the site commits by hand."""
    return connection.in_atomic_block or is_manual()


def is_manual() -> bool:
    """Whether the site has turned autocommit off and commits by hand."""
    if connection.in_atomic_block:
        return not connection.commit_on_exit
    is_open = connection.connection is not None
    return not (connection.autocommit if is_open else connection.settings_dict["AUTOCOMMIT"])


def retry_conflicts(work: Callable[P, T]) -> Callable[P, T]:
    """Call a function again if its transaction conflicted with another one. It has one transaction, or only reads."""

    @wraps(work)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(1, ATTEMPTS):
            try:
                return work(*args, **kwargs)
            except OperationalError as error:
                if connection.in_atomic_block or not is_conflict(error):
                    raise
        return work(*args, **kwargs)

    return attempt


def is_conflict(error: Exception) -> bool:
    """Whether a transaction was rolled back because of another one, so that it may succeed at once."""
    # psycopg 3 calls it `sqlstate`, psycopg2 `pgcode`.
    return getattr(error.__cause__, "sqlstate", getattr(error.__cause__, "pgcode", None)) in CONFLICTS


def require_committed(unknown: OutcomeUnknown, look: Callable[[], bool]) -> None:
    """Return if the transaction behind `unknown` was committed. Asks on a new connection.

    `look` first locks a row that the transaction had locked, and so waits until the server has ended it; then it looks
    for something that only this transaction has written. Raises OperationalError if it was rolled back, and `unknown`
    if the database does not answer in time.
    """
    try:
        with transaction.atomic(using=alias()):
            _require_read_committed()
            if connection.vendor == "postgresql":
                _execute(f"SET LOCAL lock_timeout = '{LOOK_SECONDS}s'")
            found = look()
            transaction.set_rollback(True, using=alias())
    except (OperationalError, InterfaceError):
        raise unknown from unknown.__cause__
    if not found:
        raise OperationalError(*unknown.args) from unknown


def _require_read_committed() -> None:
    """Must come before the first query of a transaction."""
    if not _are_read_committed():
        _execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")


def _are_read_committed() -> bool:
    """Whether transactions start as such; outside of one, whether single statements do: some settings are not for them.

    Costs one look for each connection and kind, and nothing afterwards. SQLite has one level.
    """
    if connection.vendor != "postgresql":
        return True
    connection.ensure_connection()
    known = _read_committed.setdefault(connection.connection, {})
    if connection.in_atomic_block not in known:
        known[connection.in_atomic_block] = _execute("SHOW transaction_isolation") == "read committed"
    return known[connection.in_atomic_block]


def _execute(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def _is_answer(error: Exception) -> bool:
    """Whether the server answered COMMIT with an error, after which it has rolled back. SQLite always answers."""
    if connection.vendor != "postgresql":
        return True
    return getattr(getattr(error.__cause__, "diag", None), "severity_nonlocalized", None) == "ERROR"
