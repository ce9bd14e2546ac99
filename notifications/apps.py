"""The app's configuration: the types of the site, the checks, the jobs, and `inbox.mark` for the `read` command.

A site names one of the two classes in INSTALLED_APPS; `notifications` stands for the first.
"""

from typing import Any

from django.apps import AppConfig, apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = _("Notifications")
    default_auto_field = "django.db.models.BigAutoField"
    distribution = "django-realtime-hub"  # other packages with the app's name do not have this
    setting = "NOTIFICATIONS"  # the name of the site's setting

    def __init__(self, app_name: str, app_module: Any) -> None:
        super().__init__(app_name, app_module)
        # Django would only say that the labels are not unique.
        other = apps.app_configs.get(self.label)
        if other is not None and other.name != self.name:
            raise ImproperlyConfigured(
                f"The app '{other.name}' has the label '{self.label}', too. Install ours under another label: write"
                " 'notifications.apps.RealtimeNotificationsConfig' in INSTALLED_APPS instead of 'notifications'."
            )

    def import_models(self) -> None:
        # The first moment at which all apps are known. After it, modules are imported that need `realtime`.
        require_realtime()
        super().import_models()

    def ready(self) -> None:
        from notifications import checks, describing, jobs, late_rows
        from notifications.announcements.events import without_texts
        from notifications.announcements.numbers import connect_users
        from notifications.announcements.publishing import connect_deleted
        from notifications.inbox import COUNTING, mark, recount
        from notifications.mailing import bounces
        from notifications.withdrawing import connect_targets
        from realtime.integration import (
            register_completion,
            register_description,
            register_notification_marker,
            register_replay,
        )

        checks.register()
        register_notification_marker(mark)
        register_replay(without_texts)
        register_completion(COUNTING, recount)
        jobs.register()
        register_description("notifications", describing.describe_own, describing.describe_site)
        bounces.connect()
        autodiscover_modules("notification_types")
        connect_targets()
        connect_deleted()
        connect_users()
        late_rows.connect()


class RealtimeNotificationsConfig(NotificationsConfig):
    """The same app for a site that has another app, table or setting called notifications."""

    default = False
    label = "realtime_notifications"
    setting = "REALTIME_NOTIFICATIONS"


def require_realtime() -> None:
    """Raises ImproperlyConfigured unless the app `realtime` is installed, and not another package of that name."""
    found = next((config for config in apps.get_app_configs() if config.name == "realtime"), None)
    if found is None:
        raise ImproperlyConfigured("The app 'notifications' needs the app 'realtime': add it to INSTALLED_APPS.")
    if getattr(found, "distribution", "") != NotificationsConfig.distribution:
        raise ImproperlyConfigured(
            f"The app 'notifications' needs the app 'realtime' of {NotificationsConfig.distribution}, but the one in"
            f" INSTALLED_APPS is another package, in {found.path}. Rename that: Python finds only one of a name."
        )
