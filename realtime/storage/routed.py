"""The database of the app: where the site's routers send what it writes. Used wherever SQL is run or must be exact.

What the app reads is read there, too: a replica may lag behind, and a ticket, a right or a number of a minute ago is
wrong.
"""

from functools import cache
from typing import Any, TypeVar, cast

from django.apps import apps
from django.core.signals import setting_changed
from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Manager, Model, QuerySet

M = TypeVar("M", bound=Model)


@cache
def alias() -> str:
    """The key in DATABASES. Found once: a router that answers differently later is not followed."""
    return router.db_for_write(apps.get_model("realtime", "Event"))


class _Connection:
    """Like `django.db.connection`, for the database of the app."""

    def __getattr__(self, name: str) -> Any:
        return getattr(connections[alias()], name)


connection = cast(BaseDatabaseWrapper, _Connection())


def exact(manager: Manager[M]) -> QuerySet[M]:
    """The rows of a model of others, read from the database to which they are written."""
    return manager.using(router.db_for_write(manager.model))


def forget(*, setting: str, **_: Any) -> None:
    """Look at the routers again. Connected to Django's `setting_changed`, so that `override_settings` works."""
    if setting == "DATABASE_ROUTERS":
        alias.cache_clear()


setting_changed.connect(forget, dispatch_uid="realtime.storage.routed.forget")
