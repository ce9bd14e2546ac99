"""The base of the app's migrations, which belong to the label under which the site has installed the app.

`checks` knows by it the files that another package has left among ours.
"""

from django.db import migrations


class OwnMigration(migrations.Migration):
    def __init__(self, name: str, app_label: str) -> None:
        super().__init__(name, app_label)
        # Those on the user model are of another type. Its app may be called `notifications`.
        self.dependencies = [  # type: ignore[misc]  # Django's own constructor does so, too
            (app_label, dependency[1]) if type(dependency) is tuple and dependency[0] == "notifications" else dependency
            for dependency in self.dependencies
        ]
