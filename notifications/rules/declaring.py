"""Declares rules. Called by site code in modules `notification_types`, which are imported after all models."""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import iscoroutinefunction
from types import NoneType
from typing import Any, TypeVar

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist
from django.db import models

from notifications import types
from notifications.recipients import find_recipients
from notifications.rules.occasions import Occasion, When
from notifications.rules.signals import Act, Rule, add
from notifications.sending import keep_actor, notify

Handler = TypeVar("Handler", bound=Callable[[Occasion], object])
# What `notify` takes besides parameters of the type. Each may be a function of the occasion.
OPTIONS = types.OPTIONS - {"recipients", "type_name"} | {"actor"}
PATHS = ("actor", "target")  # of these options, a text is a path from the object


def on(model: str | type[models.Model], when: When) -> Callable[[Handler], Handler]:
    """`@on(Order, changed("status"))`: call the function with an `Occasion` when this happens to an object.

    It is called with the save or deletion, in its transaction; for an object that is deleted because another one is,
    after the commit. What it raises, the save raises. `model` may be a label such as "shop.Order". Raises LookupError
    for a label without a model, ValueError for fields that cannot be watched, TypeError for what is no `when`.
    """
    found = _require_model(model, when)

    def declare(handler: Handler) -> Handler:
        _require_synchronous(handler=handler)
        add(Rule(found, when, lambda occasion: partial(handler, occasion)))
        return handler

    return declare


def notify_on(
    model: str | type[models.Model],
    *,
    when: When,
    recipients: str | Callable[[Occasion], Any],
    type: str,
    only_if: Callable[[Occasion], object] | None = None,
    params: Mapping[str, object] | Callable[[Occasion], Mapping[str, object]] | None = None,
    **options: Any,
) -> Rule:
    """Notify `recipients` when this happens to an object of `model`, as `on` would be called.

    `recipients` is a function from the `Occasion` to what `notify` takes, or a path of names from the object, such as
    "user" or "project.members". `params` are the parameters of the type. The `options` are those of `notify`; each of
    them, and `params`, may be a function of the occasion; `actor` and `target` also a path. `target` is by default the
    object. Nothing is sent if `only_if` returns something false, or the path of the recipients leads to None. Raises as
    `on` does, ValueError for paths that lead nowhere, and TypeError for options that are unknown or of another kind.
    """
    found = _require_model(model, when)
    if unknown := options.keys() - OPTIONS:
        raise TypeError(f"notify_on has no option {', '.join(sorted(unknown))}; parameters of the type go to `params`.")
    _require_functions(recipients=recipients, only_if=only_if, params=params)
    _require_synchronous(**options)
    _require_paths(found, recipients=recipients, **{name: options.get(name) for name in PATHS})

    def prepare(occasion: Occasion) -> Act:
        if only_if is not None and not only_if(occasion):
            return _nothing
        named = _follow(occasion.object, recipients) if isinstance(recipients, str) else recipients(occasion)
        if named is None:
            return _nothing
        given = {name: _find(name, option, occasion) for name, option in options.items()}
        if when.event == "deleted":
            named = find_recipients(named).keys  # in a list, so that those who are gone by then are left out
            given["actor"] = keep_actor(given.get("actor"))
        given.setdefault("target", occasion.object)
        return partial(notify, named, type, **given, **(_value(params, occasion) or {}))

    add(rule := Rule(found, when, prepare, type))
    return rule


def _require_paths(model: type[models.Model], **given: object) -> None:
    """Those that are texts have to lead somewhere, as far as the models show."""
    for option, path in given.items():
        here: type[models.Model] | None = model
        for name in path.split(".") if isinstance(path, str) else ():
            if here is None:
                break
            if not hasattr(here, name):
                raise ValueError(f"{here._meta.label} has no {name!r} that could lead to `{option}` of notify_on.")
            here = _model_behind(here, name)


def _model_behind(model: type[models.Model], name: str) -> type[models.Model] | None:
    """The model of the one object to which a field refers; None for whatever else."""
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist:  # a property, the key of a relation, or a manager
        return None
    return field.related_model if field.many_to_one or field.one_to_one else None


def _require_model(model: str | type[models.Model], when: When) -> type[models.Model]:
    """The model whose fields can be watched. Raises AppRegistryNotReady before all models, and proxies, are known."""
    apps.check_models_ready()
    if not isinstance(when, When):
        raise TypeError(f"A rule is for `created`, `deleted` or `changed('field', …)`, not for {when!r}.")
    found = apps.get_model(model) if isinstance(model, str) else model
    for name in when.fields:
        try:
            field: Any = found._meta.get_field(name)
        except FieldDoesNotExist:
            raise ValueError(f"{found._meta.label} has no field {name!r}.") from None
        if not getattr(field, "concrete", False) or field.many_to_many or getattr(field, "generated", False):
            raise ValueError(f"{found._meta.label}.{name} is no column that a save could change.")
    return found


def _require_functions(**given: Any) -> None:
    """A wrong one would be an error of each save, and the coroutine of an asynchronous one is always true."""
    also: dict[str, tuple[type, ...]] = {"recipients": (str,), "only_if": (NoneType,), "params": (Mapping, NoneType)}
    for name, value in given.items():
        if not callable(value) and not isinstance(value, also[name]):
            raise TypeError(f"`{name}` of notify_on must be a function of the occasion, not {value!r}.")
    _require_synchronous(**given)


def _require_synchronous(**given: object) -> None:
    """Nobody would await them in a save."""
    for name, function in given.items():
        if iscoroutinefunction(function):
            raise TypeError(f"`{name}` of a rule must not be asynchronous: {function!r}.")


def _follow(thing: Any, path: str) -> Any:
    """What the path leads to; None if something on it is missing."""
    for name in path.split("."):
        try:
            thing = None if thing is None else getattr(thing, name)
        except ObjectDoesNotExist:
            return None
    return thing


def _find(name: str, option: Any, occasion: Occasion) -> Any:
    """What is to be passed to `notify`."""
    if name in PATHS and isinstance(option, str):
        return _follow(occasion.object, option)
    return _value(option, occasion)


def _value(option: Any, occasion: Occasion) -> Any:
    return option(occasion) if callable(option) else option


def _nothing() -> None: ...
