"""Finds tables of another app that have the names of ours, before a migration fails on them. Called by system checks.

An app with the same label may have used the database: it leaves tables, and rows in `django_migrations`.
"""

from collections import defaultdict

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import BadMigrationError, NodeNotFoundError
from django.db.migrations.loader import MigrationLoader

Nodes = list[tuple[str, str]]


def find_foreign_tables(label: str, database: str) -> list[str]:
    """A sentence for each table of an app's that the app has not made, or that is missing although it was made."""
    connection = connections[database]
    try:
        loader = MigrationLoader(connection)
    except (ImportError, BadMigrationError, NodeNotFoundError):
        return []  # of whatever app: `migrate` itself will say so
    own: Nodes = [node for node in loader.graph.nodes if node[0] == label]
    applied = [node for node in own if node in loader.applied_migrations]
    # Where nothing is recorded, the tables may have been made without migrations (`--fake-initial`, `MIGRATE: False`).
    plans = [applied] if applied else [loader.graph.root_nodes(label), loader.graph.leaf_nodes(label)]
    expected: dict[str, list[set[str]]] = defaultdict(list)
    for nodes in plans if own else []:
        for table, columns in _make_tables(loader, nodes, label, database):
            expected[table].append(columns)
    return _compare(connection, expected, is_recorded=bool(applied))


def _make_tables(loader: MigrationLoader, nodes: Nodes, label: str, database: str) -> list[tuple[str, set[str]]]:
    """The tables, each with its columns, as they are after these migrations."""
    return [
        (model._meta.db_table, {str(field.column) for field in model._meta.local_concrete_fields})
        for model in loader.project_state(nodes).apps.get_models()
        if model._meta.app_label == label and not model._meta.proxy and router.allow_migrate_model(database, model)
    ]


def _compare(connection: BaseDatabaseWrapper, expected: dict[str, list[set[str]]], *, is_recorded: bool) -> list[str]:
    found = []
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for table, variants in expected.items():
            if table not in tables:
                if is_recorded:
                    found.append(f"There is no table {table}, although django_migrations says that it was made.")
                continue
            # Not by the introspection, which parses the SQL of a table on SQLite.
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)} WHERE 1 = 0")
            present = {column[0] for column in cursor.description}
            missing = [columns - present for columns in variants]
            if all(missing):
                found.append(f"The table {table} belongs to another app: it has no {', '.join(sorted(missing[-1]))}.")
    return found
