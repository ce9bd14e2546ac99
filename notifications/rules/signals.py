"""Hears of what happens to objects by Django's signals, and calls the rules. Fixtures (`raw`) are left alone.

Only the classes that rules name are listened to: a receiver for all models would slow down every object of a site.
"""

from collections import defaultdict
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models, transaction
from django.db.models import signals

from notifications.rules import memory
from notifications.rules.occasions import Occasion, When

Act = Callable[[], object]


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """`prepare` returns what is to be done. For an object that is deleted, it is called while its relations exist."""

    model: type[models.Model]
    when: When
    prepare: Callable[[Occasion], Act]
    type: str = ""  # of the notifications that it sends, if it does

    def apply(self, occasion: Occasion) -> None:
        self.prepare(occasion)()

    def find_occasion(self, thing: Any, changes: dict[str, tuple[Any, Any]]) -> Occasion | None:
        """The occasion for a rule about changes; None if none of its fields has changed."""
        attributes = {name: self.model._meta.get_field(name).attname for name in self.when.fields}  # type: ignore[union-attr]
        found = {name: changes[attribute] for name, attribute in attributes.items() if attribute in changes}
        if not found:
            return None
        old, new = ({name: pair[side] for name, pair in found.items()} for side in (0, 1))
        return Occasion(thing, old, new)


# By the class that sends the signals.
_rules: dict[type[models.Model], list[Rule]] = defaultdict(list)


def add(rule: Rule) -> None:
    """Apply the rule from now on, also to objects of classes that build on its model."""
    for sender in _senders(rule):
        _rules[sender].append(rule)
        if rule.when.event == "changed":
            memory.watch(sender, [sender._meta.get_field(name) for name in rule.when.fields])
        for signal, receiver in RECEIVERS[rule.when.event].items():
            signal.connect(receiver, sender=sender, dispatch_uid=f"notifications.rules.{receiver.__name__}")


def all_rules() -> set[Rule]:
    return {rule for rules in _rules.values() for rule in rules}


def rules_of(sender: type[models.Model], event: str) -> list[Rule]:
    return [rule for rule in _rules.get(sender, ()) if rule.when.event == event]


def apply_changes(thing: Any, changes: dict[str, tuple[Any, Any]]) -> None:
    """Apply the rules about changes of an object: old and new value by the name of the attribute."""
    for rule in rules_of(type(thing), "changed") if changes else ():
        if (occasion := rule.find_occasion(thing, changes)) is not None:
            rule.apply(occasion)


def on_pre_save(sender: type[models.Model], instance: Any, raw: bool, using: str, **options: Any) -> None:
    if not raw:
        names = options["update_fields"]
        memory.look_back(instance, using, None if names is None else set(names))


def on_save(sender: type[models.Model], instance: Any, created: bool, raw: bool, using: str, **_: Any) -> None:
    if raw:
        return
    changes = memory.compare(instance, using, created=created)
    for rule in rules_of(sender, "created") if created else ():
        rule.apply(Occasion(instance))
    apply_changes(instance, changes)


def on_pre_delete(sender: type[models.Model], instance: Any, **_: Any) -> None:
    occasion = Occasion(copy(instance))  # Django takes the key of a deleted object away
    instance._state.notifications_leaving = [rule.prepare(occasion) for rule in rules_of(sender, "deleted")]


def on_delete(sender: type[models.Model], instance: Any, using: str, origin: Any = None, **_: Any) -> None:
    for act in vars(instance._state).pop("notifications_leaving", ()):
        if _is_deleted_itself(sender, origin):
            act()
        else:
            # It goes because something else does, and that may be the recipient: who is left is known at the end.
            transaction.on_commit(act, using=using, robust=True)


RECEIVERS: dict[str, dict[Any, Callable[..., None]]] = {
    "created": {signals.post_save: on_save},
    "changed": {signals.pre_save: on_pre_save, signals.post_save: on_save},
    "deleted": {signals.pre_delete: on_pre_delete, signals.post_delete: on_delete},
}


def _senders(rule: Rule) -> list[type[models.Model]]:
    """The classes whose signals are about objects of the rule's model, each object once.

    A save is announced by the object's own class alone. When an object goes whose class inherits the columns of others,
    each of these classes announces it: only the first of them counts.
    """
    found = [model for model in with_children(rule.model) if not model._meta.abstract and model._meta.apps is apps]
    if rule.when.event != "deleted":
        return found
    own = {model._meta.concrete_model for model in found}
    return [model for model in found if not own & _concrete_parents(model)]


def with_children(model: type[models.Model]) -> list[type[models.Model]]:
    """The class, and those that build on it, as proxies or otherwise: signals name the class of the object itself.

    Each once: a class may build on it in several ways.
    """
    children = [found for child in model.__subclasses__() for found in with_children(child)]
    return list(dict.fromkeys([model, *children]))


def _concrete_parents(model: type[models.Model]) -> set[Any]:
    """The classes whose columns the model's class inherits, by a relation to their row."""
    concrete: Any = model._meta.concrete_model
    return {parent._meta.concrete_model for parent in concrete._meta.get_parent_list()} - {concrete}


def _is_deleted_itself(sender: type[models.Model], origin: Any) -> bool:
    """Whether somebody has deleted the object, or a queryset of such objects; else it goes by a cascade."""
    if origin is None:
        return False
    model = origin.model if isinstance(origin, models.QuerySet) else type(origin)
    return issubclass(model, sender) or issubclass(sender, model)
