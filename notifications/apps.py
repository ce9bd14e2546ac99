"""The app's configuration: registers the system checks, and `inbox.mark` for the `read` command of sockets."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = _("Notifications")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from notifications.checks import check_realtime, check_settings
        from notifications.inbox import mark
        from realtime.integration import register_notification_marker

        register(check_realtime)
        register(check_settings)
        register_notification_marker(mark)
