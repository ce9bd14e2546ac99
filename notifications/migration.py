"""The base of the app's migrations, which belong to the label under which the site has installed the app.

`checks` knows by it the files that another package has left among ours.
"""

from copy import deepcopy
from typing import Any

from django.conf import settings
from django.db import migrations
from django.db.migrations.operations.base import Operation

DEFAULT_LABEL = "notifications"


class OwnMigration(migrations.Migration):
    def __init__(self, name: str, app_label: str) -> None:
        super().__init__(name, app_label)
        # Those on the user model are of another type. Its app may be called `notifications`.
        self.dependencies = [  # type: ignore[misc]  # Django's own constructor does so, too
            (app_label, dependency[1]) if type(dependency) is tuple and dependency[0] == DEFAULT_LABEL else dependency
            for dependency in self.dependencies
        ]
        if app_label != DEFAULT_LABEL:
            self.operations = [  # type: ignore[misc]
                _relate(deepcopy(operation), app_label) for operation in self.operations
            ]


def _relate(operation: Operation, app_label: str) -> Operation:
    """Lets the relations to tables of the app, which makemigrations has written with its default label, find them."""
    fields = dict(getattr(operation, "fields", ())).values()
    for field in [*fields, getattr(operation, "field", None)]:
        relation: Any = getattr(field, "remote_field", None)
        related = relation and relation.model
        if isinstance(related, str) and related.lower() != settings.AUTH_USER_MODEL.lower():
            label, _, model = related.rpartition(".")
            relation.model = f"{app_label}.{model}" if label == DEFAULT_LABEL else related
    return operation
