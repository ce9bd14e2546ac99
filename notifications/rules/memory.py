"""What the database has in the watched fields of an object, so that a save shows what it changes. Called by `signals`.

An object remembers it from when it was loaded: that costs a small dictionary, and no query. One query looks up what it
cannot know: a field that was deferred and then assigned, an object with a given key that was not loaded, one that is
saved to another database, what was changed in bulk since, what the same object has changed earlier in a transaction,
which may be rolled back, and values that the database stores otherwise than they were assigned.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from copy import deepcopy
from datetime import date, datetime
from decimal import Decimal
from functools import wraps
from types import NoneType
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import connections, models
from django.db.models.fields.files import FieldFile
from django.utils import timezone

# Values that cannot be changed in place.
PLAIN = frozenset({str, int, bool, float, Decimal, NoneType, datetime, date, UUID})
_MISSING = object()
# By class, the watched fields by the name of their attribute.
_watched: dict[type[models.Model], dict[str, Any]] = defaultdict(dict)
# How often rows were changed in bulk. What an object remembers from before that may be old.
_bulk_changes = 0


def watch(model: type[models.Model], fields: Iterable[Any]) -> None:
    """Objects of this class are to remember these fields. Those that exist already look their values up."""
    _watched[model] |= {field.attname: field for field in fields}
    _hear_of_loading(model)
    _hear_of_refreshing(model)


def remember(thing: Any) -> None:
    """The object has just been read from the database. This is called for each that is loaded."""
    _keep(thing, _read_known(thing, _watched[type(thing)]))


def remember_again(thing: Any, names: AbstractSet[str]) -> None:
    """These fields of the object have just been read from the database."""
    own = {name for name, field in _watched[type(thing)].items() if names & {field.name, name}}
    others = {name: value for name, value in _known(thing).items() if name not in own}
    _keep(thing, others | _read_known(thing, own))


def note_bulk_change() -> None:
    """Rows have been changed without a save: objects that exist already look their values up."""
    global _bulk_changes
    _bulk_changes += 1


def look_back(thing: Any, database: str, written: AbstractSet[str] | None) -> None:
    """Before a save of all fields, or of those with the names in `written`: find out what the database has."""
    names = [
        name
        for name, field in _watched[type(thing)].items()
        if name in vars(thing) and (written is None or not written.isdisjoint({field.name, name}))
    ]
    known = _known(thing) if thing._state.db == database and not thing._state.adding else {}
    before = {name: known[name] for name in names if name in known}
    unknown = [name for name in names if name not in known]
    if unknown and not _will_be_inserted(thing):
        before |= look_up(thing, database, unknown)
    thing._state.notifications_before = before


def compare(thing: Any, database: str, *, created: bool) -> dict[str, tuple[Any, Any]]:
    """After a save: old and new value of each watched field that it has changed, by the name of the attribute."""
    before: dict[str, Any] = vars(thing._state).pop("notifications_before", {})
    fields = _watched[type(thing)]
    if created:
        stored = [name for name in fields if not _is_stored_otherwise(fields[name], vars(thing).get(name))]
        _keep(thing, _read_known(thing, stored))
        return {}
    unsure = [name for name in before if _is_stored_otherwise(fields[name], vars(thing)[name])]
    after = {name: _read(thing, name) for name in before if name not in unsure}
    if unsure:
        after |= look_up(thing, database, unsure)
    found = find_changes(type(thing), before, after)
    known = dict(_known(thing))
    for name in before:
        if name in found or name in unsure:
            known.pop(name, None)
        if name not in unsure and not _may_be_rolled_back(database):
            known[name] = after[name]
    _keep(thing, known)
    return found


def find_changes(
    model: type[models.Model], before: dict[str, Any], after: dict[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """The values that differ, in the type of the field: 1 and "1" are the same number."""
    fields = _watched[model]
    pairs = {
        name: (_as_python(fields[name], old), _as_python(fields[name], after[name]))
        for name, old in before.items()
        if name in after
    }
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}


def look_up(thing: Any, database: str, names: Sequence[str]) -> dict[str, Any]:
    """What the row of the object has in these columns; nothing if there is no row."""
    rows = type(thing)._base_manager.using(database).filter(pk=thing.pk)
    row: dict[str, Any] | None = rows.values(*names).first()
    return row or {}


def values_of(thing: Any) -> dict[str, Any]:
    """The watched fields of an object that was just loaded."""
    return _read_known(thing, _watched[type(thing)])


def _hear_of_loading(model: Any) -> None:
    """Wrap the method by which Django makes an object of a row. Its signal is sent for those that are new, too."""
    load = model.from_db
    if getattr(load, "remembers", False):  # inherited
        return
    make = load.__func__

    @wraps(make)
    def from_db(cls: Any, *args: Any, **options: Any) -> Any:
        thing = make(cls, *args, **options)
        remember(thing)
        return thing

    from_db.remembers = True  # type: ignore[attr-defined]
    model.from_db = classmethod(from_db)


def _hear_of_refreshing(model: Any) -> None:
    """Wrap the method by which Django reads an object again, and its deferred fields: there is no signal for it."""
    refresh = model.refresh_from_db
    if getattr(refresh, "remembers", False):  # inherited
        return

    @wraps(refresh)
    def refresh_from_db(self: Any, using: Any = None, fields: Any = None, *args: Any, **options: Any) -> None:
        names = None if fields is None else set(fields)
        refresh(self, using, fields, *args, **options)
        if args or options.get("from_queryset") is not None:
            _keep(self, {})  # it may have loaded some fields only
        elif names is None:
            remember(self)
        else:
            remember_again(self, names)

    refresh_from_db.remembers = True  # type: ignore[attr-defined]
    model.refresh_from_db = refresh_from_db


def _known(thing: Any) -> dict[str, Any]:
    """Never changed in place, because copies of the object share it."""
    known: dict[str, Any]
    changes, known = getattr(thing._state, "notifications_known", (_bulk_changes, {}))
    return known if changes == _bulk_changes else {}


def _keep(thing: Any, known: dict[str, Any]) -> None:
    thing._state.notifications_known = _bulk_changes, known


def _read_known(thing: Any, names: Iterable[str]) -> dict[str, Any]:
    """The values of those attributes that are set; an expression is no value yet."""
    values: dict[str, Any] = thing.__dict__
    known = {}
    for name in names:
        value = values.get(name, _MISSING)
        if type(value) in PLAIN:  # a short cut: this is done for each object that is loaded
            known[name] = value
        elif value is not _MISSING and not _is_expression(value):
            known[name] = _read(thing, name)
    return known


def _read(thing: Any, name: str) -> Any:
    """The value of an attribute, or a copy if it could be changed in place."""
    value = vars(thing)[name]
    if isinstance(value, FieldFile):
        return value.name
    return deepcopy(value) if isinstance(value, dict | list | set | bytearray) else value


def _as_python(field: Any, value: Any) -> Any:
    try:
        return field.to_python(value)
    except ValidationError:
        return value


def _is_stored_otherwise(field: Any, value: Any) -> bool:
    """Whether the database makes another value of it: it computes an expression, rounds, or adds the site's zone."""
    if _is_expression(value):
        return True
    if isinstance(field, models.DecimalField):
        number = _as_python(field, value)
        places = number.as_tuple().exponent if isinstance(number, Decimal) else 0
        return isinstance(places, int) and -places > field.decimal_places
    if isinstance(field, models.DateTimeField):
        moment = _as_python(field, value)
        return isinstance(moment, datetime) and timezone.is_naive(moment) != timezone.is_naive(timezone.now())
    return False


def _is_expression(value: Any) -> bool:
    return hasattr(value, "resolve_expression")


def _will_be_inserted(thing: Any) -> bool:
    """Whether Django does not try an UPDATE first."""
    key = type(thing)._meta.pk
    return thing.pk is None or (thing._state.adding and (key.has_default() or key.has_db_default()))


def _may_be_rolled_back(database: str) -> bool:
    connection = connections[database]
    return connection.in_atomic_block or not connection.get_autocommit()
