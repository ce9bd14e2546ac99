"""The admin of a site that has an `AdminSite` of its own, and another theme: the examples of docs/notifications.md."""

from pathlib import Path

import pytest

from tests.notifications.test_documentation import EXAMPLES
from tests.sites.small import IN_MEMORY, SITE, SmallSite

APPS = '"django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",'
SETTINGS = """
NOTIFICATIONS = {"ADMIN": False}
REALTIME |= {"ADMIN": False}
STATIC_URL = "static/"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
"""
FILES = {
    "mysite/settings.py": SITE["mysite/settings.py"].replace(
        APPS, f'"django.contrib.admin", "django.contrib.messages", "django.contrib.staticfiles", "mysite", {APPS}'
    )
    + IN_MEMORY
    + SETTINGS,
    "mysite/admin.py": EXAMPLES["admin_theme"],
    "mysite/urls.py": f"""
from django.contrib import admin
from django.urls import path
{EXAMPLES["admin_site"]}
urlpatterns = [path("admin/", admin.site.urls), path("office/", office.urls)]
""",
    "unfold/__init__.py": "",
    "unfold/admin.py": """
from django.contrib import admin


class ModelAdmin(admin.ModelAdmin):
    class Media:
        css = {"all": ["unfold/theme.css"]}
""",
    "tests.py": """
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import TestCase

from mysite.urls import office
from notifications import notify
from notifications.models import Delivery, TypeSwitch
from realtime.models import Room


class Sites(TestCase):
    def setUp(self):
        self.root = get_user_model().objects.create_superuser("root")
        self.client.force_login(self.root)

    def get(self, path):
        answer = self.client.get(path)
        self.assertEqual(answer.status_code, 200, path)
        return answer.content.decode()

    def test_only_what_the_site_registers_is_in_the_admin_of_django(self):
        ours = {model for model in admin.site._registry if model._meta.app_label in ("notifications", "realtime")}
        self.assertEqual(ours, {TypeSwitch, Delivery})

    def test_the_theme_is_that_of_the_site(self):
        for path in ("typeswitch/", "typeswitch/mention/change/"):
            page = self.get(f"/admin/notifications/{path}")
            for sheet in ("unfold/theme.css", "notifications/admin.css", "notifications/types.css"):
                self.assertIn(sheet, page)
        self.assertIn("unfold/theme.css", self.get("/admin/notifications/delivery/"))

    def test_another_admin_site_has_everything_and_stays_there(self):
        Room.objects.create(slug="lunch")
        notify(self.root, "mention", message="hello")
        self.assertGreaterEqual(len(office._registry), 11)
        for model in office._registry:
            name = f"{model._meta.app_label}/{model._meta.model_name}"
            self.assertNotIn('"/admin/', self.get(f"/office/{name}/"), name)
        page = "/office/notifications/typeswitch/mention/"
        self.assertNotIn('"/admin/', self.get(f"{page}change/"))
        answer = self.client.post(f"{page}switch/", {"off": "1"})
        self.assertRedirects(answer, f"{page}change/")
        self.assertTrue(TypeSwitch.objects.get(pk="mention").off)
""",
}


@pytest.mark.process
def test_the_admin_of_a_site_with_its_own_admin_site_and_theme(tmp_path: Path) -> None:
    assert "Ran 3 tests" in SmallSite(tmp_path, FILES).run("django", "test", "tests")
