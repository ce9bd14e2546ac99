"""What others have stored about a user while the user was being deleted. Called by a signal.

Django looks first for what goes with a user, which takes seconds for a full inbox. A notification that comes after that
would let the deletion fail, because it still refers to the user. What comes after the deletion waits for its COMMIT.
"""

from typing import Any

from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Value

from notifications.personal import Source, mentions, own_sources
from notifications.rules.signals import with_children
from realtime.integration import database_alias, read_user


def connect() -> None:
    """Called once by `apps`."""
    for sender in with_children(get_user_model()):
        models.signals.post_delete.connect(delete_late, sender=sender, dispatch_uid="notifications.late_rows")


def delete_late(sender: type[models.Model], instance: models.Model, using: str, **_: Any) -> None:
    """In the transaction of the deletion, which has the row of the user by now."""
    if using != database_alias():
        return
    pk = read_user(instance)
    own = [source for source in own_sources() if "__" not in source.path]  # what belongs to these goes with them
    others = mentions()
    if not _has_any([*own, *others], pk):  # nearly always, and quickly
        return
    for source in own:
        source.rows(pk).delete()
    for source in others:
        source.rows(pk).order_by().update(**{source.path: None})


def _has_any(sources: list[Source], pk: Any) -> bool:
    first, *rest = [source.rows(pk).order_by().annotate(one=Value(1)).values_list("one") for source in sources]
    return bool(first.union(*rest, all=True).exists())
