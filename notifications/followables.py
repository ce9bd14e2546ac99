"""Objects that readers may follow and mute over REST: the site declares their models, and who may see which of them.

A dictionary that is filled while apps are loaded. The REST API looks objects up here; site code may follow any object.
"""

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models

from notifications.models.target import Target, content_types

# From a user to the objects that they may see.
VisibleTo = Callable[[Any], "models.QuerySet[Any] | models.Manager[Any]"]

_followables: dict[str, VisibleTo] = {}  # by the label of the model, in lower case; that of a proxy's own model


def register_followable(model: str | type[models.Model], *, visible_to: VisibleTo) -> None:
    """Let users follow and mute objects of this model over REST. Call this in a module `notification_types`.

    `model` may be a label such as "shop.Order". `visible_to` is a function from a user to a queryset of the objects
    that the user may see: no others can be followed. The last registration of a model wins. Raises LookupError or
    ValueError for a label without a model, ValueError for a model with a key of several columns, which REST has no form
    for, and TypeError for what is no function.
    """
    found = apps.get_model(model) if isinstance(model, str) else model
    if len(getattr(found._meta, "pk_fields", ())) > 1:  # which Django has from 5.2 on
        raise ValueError(f"The primary key of {found._meta.label} has several columns.")
    if not callable(visible_to) or iscoroutinefunction(visible_to):
        raise TypeError(
            "`visible_to` must be a function, not an asynchronous one, that takes a user and returns a queryset."
        )
    _followables[_label(found)] = visible_to


def find_visible(user: Any, label: str, key: str) -> models.Model | None:
    """The object with this primary key that `user` may follow; None if there is none, or if they may not see it."""
    model = _find_model(label)
    visible_to = None if model is None else _followables.get(_label(model))
    pk = None if model is None else _read_key(model, key)
    if visible_to is None or pk is None:
        return None
    thing: models.Model | None = visible_to(user).filter(pk=pk).first()
    return thing


def find_target(label: str, key: str) -> Target | None:
    """The reference to an object, which may be gone; None if there can be none, or nobody was ever notified about one.

    Its model need not be declared: site code may have let a user follow it.
    """
    model = _find_model(label)
    pk = None if model is None else _read_key(model, key)
    if model is None or pk is None:
        return None
    if _label(model) in _followables:
        return Target(content_types().get_for_model(model).pk, str(pk))
    app_label, name = _label(model).split(".")
    type_id = content_types().filter(app_label=app_label, model=name).values_list("pk", flat=True).first()
    return None if type_id is None else Target(type_id, str(pk))


def is_declared(target: Target) -> bool:
    """Whether users may follow objects of this model over REST."""
    return bool(find_label(target.type_id))


def label_of(type_id: int) -> str:
    """The label of a model, in lower case, as clients know it. Content types are cached."""
    found = content_types().get_for_id(type_id)
    return f"{found.app_label}.{found.model}"


def find_label(type_id: int | None) -> str:
    """The label of the model if readers may follow its objects, else an empty text."""
    label = "" if type_id is None else label_of(type_id)
    return label if label in _followables else ""


def _label(model: type[models.Model]) -> str:
    """As the content type of the model has it."""
    concrete: Any = model._meta.concrete_model
    label: str = concrete._meta.label_lower
    return label


def _find_model(label: str) -> type[models.Model] | None:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        return None


def _read_key(model: type[models.Model], key: str) -> Any:
    """The primary key that a client sent, or None if it cannot be one."""
    field: Any = model._meta.pk
    while field.remote_field is not None:
        field = field.target_field
    try:
        return None if "\0" in key else field.clean(key, None)
    except ValidationError:
        return None
