"""The app's configuration. At start it registers the system checks, connects signals and imports the site's topics."""

from typing import Any

from django.apps import AppConfig, apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class RealtimeConfig(AppConfig):
    name = "realtime"
    verbose_name = _("Real time")
    default_auto_field = "django.db.models.BigAutoField"
    distribution = "django-realtime-hub"  # other packages with the app's name do not have this

    def __init__(self, app_name: str, app_module: Any) -> None:
        super().__init__(app_name, app_module)
        # Django would only say that the labels are not unique.
        other = apps.app_configs.get(self.label)
        if other is not None and other.name != self.name:
            raise ImproperlyConfigured(
                f"The app '{other.name}' has the label '{self.label}', which the app '{self.name}' needs."
                f" Set another label in the AppConfig of '{other.name}'."
            )

    def ready(self) -> None:
        from realtime import checks, signals
        from realtime.server import redaction

        checks.register()
        signals.connect()
        redaction.install()
        autodiscover_modules("topics")
