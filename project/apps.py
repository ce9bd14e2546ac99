"""The site's own app: its landing page and the demo's data."""

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    name = "project"
    verbose_name = "Site"
