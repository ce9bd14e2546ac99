"""The app's configuration. At start it registers the system checks, connects signals and imports the site's topics."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class RealtimeConfig(AppConfig):
    name = "realtime"
    verbose_name = _("Real time")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from realtime import checks, signals
        from realtime.server import redaction

        checks.register()
        signals.connect()
        redaction.install()
        autodiscover_modules("topics")
