"""The site's own app: its start page, and the demo."""

from django.apps import AppConfig
from django.core.checks import Tags, register

from project.checks import check_demo


class ProjectConfig(AppConfig):
    name = "project"
    verbose_name = "Site"

    def ready(self) -> None:
        register(check_demo, Tags.security, deploy=True)
