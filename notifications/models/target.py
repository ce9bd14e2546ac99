"""A reference to any object of the site: what a notification is about, and what users follow. Used by the models."""

from typing import Any, NamedTuple

from django.contrib.contenttypes.models import ContentType, ContentTypeManager
from django.db import models

from realtime.integration import database_alias


class Target(NamedTuple):
    """An object by its model and its primary key as text."""

    type_id: int | None = None
    key: str = ""


NOTHING = Target()


def target_of(thing: models.Model | None) -> Target:
    """The reference to `thing`. Raises TypeError for what is not a saved object."""
    if thing is None:
        return NOTHING
    if not isinstance(thing, models.Model) or None in (thing.pk if isinstance(thing.pk, tuple) else [thing.pk]):
        raise TypeError(f"A saved object of a model is needed, not {thing!r}.")
    return Target(content_types().get_for_model(thing).pk, _read_key(thing))


def _read_key(thing: models.Model) -> str:
    """In the key's own type: `Shelf(code=uuid4().hex)` has another text than the same shelf when it is loaded."""
    fields: Any = thing._meta.pk_fields
    values = tuple(field.to_python(getattr(thing, field.attname)) for field in fields)
    return str(values if isinstance(thing.pk, tuple) else values[0])


def content_types() -> ContentTypeManager:
    """Those of the database that is written to, also where the site reads others from a replica."""
    return ContentType.objects.db_manager(database_alias())


def about(target: Target) -> dict[str, Any]:
    """The filter for rows that refer to the object."""
    return {"target_type_id": target.type_id, "target_key": target.key}
