"""The system checks of notifications."""

from inspect import Parameter, signature

import django
import pytest
from django.core.checks import registry
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.utils.translation import gettext_lazy

from notifications import conf, notify, types
from notifications.checks import check_database, check_mail, check_settings, check_types


def test_they_are_run() -> None:
    assert {check_settings, check_database} <= set(registry.registry.get_checks())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, []),
        ({"LANGUAGE": None}, []),
        ({"LANGUAGE": "notifications.languages.language_of"}, []),
        ({"LANGUAGE": "notifications.languages.tongue_of"}, ["NOTIFICATIONS['LANGUAGE']"]),
        ({"LANGUAGE": "notifications.nowhere.language_of"}, ["NOTIFICATIONS['LANGUAGE']"]),
        ({"LANGUAGE": "en"}, ["NOTIFICATIONS['LANGUAGE']"]),
        ({"WEB_PUSH": "notifications.web_push.nowhere"}, ["NOTIFICATIONS['WEB_PUSH']"]),
        ({"WEB_PUSH": "notifications.anotify"}, ["NOTIFICATIONS['WEB_PUSH']"]),
        ({"MAIL_ADDRESS": "notifications.anotify"}, ["NOTIFICATIONS['MAIL_ADDRESS']"]),
        ({"LANGUAGE": len}, ["NOTIFICATIONS['LANGUAGE']"]),
        ({"JOINED_FIELD": "last_login"}, []),
        ({"JOINED_FIELD": ""}, []),
        ({"JOINED_FIELD": "joined"}, ["NOTIFICATIONS['JOINED_FIELD']"]),
        ({"JOINED_FIELD": "username"}, ["NOTIFICATIONS['JOINED_FIELD']"]),
        ({"JOINED_FIELD": "a.b"}, ["NOTIFICATIONS['JOINED_FIELD']"]),
        ({"ANNOUNCEMENT_REQUESTS_PER_SECOND": 0}, ["NOTIFICATIONS['ANNOUNCEMENT_REQUESTS_PER_SECOND']"]),
        ({"MAIL_ADDRESS": "notifications.nowhere.address_of"}, ["NOTIFICATIONS['MAIL_ADDRESS']"]),
        ({"MAIL": 1, "SITE_URL": "example.com"}, ["NOTIFICATIONS['MAIL']", "NOTIFICATIONS['SITE_URL']"]),
        ({"MAIL_FROM": "news@example.com", "SITE_URL": "https://例え.jp:8000/chat"}, []),
        ({"MAIL_FROM": '"Foo, Inc." <a@example.com>', "SITE_URL": "http://[::1]:80"}, []),
        ({"MAIL_FROM": "Dr. Foo (Example) <root@localhost>", "SITE_URL": "http://my_host"}, []),
        ({"MAIL_FROM": "Foo, Inc. <a@example.com>"}, ["NOTIFICATIONS['MAIL_FROM']"]),
        ({"MAIL_FROM": "Foo [dev] <a@example.com>"}, ["NOTIFICATIONS['MAIL_FROM']"]),
        ({"MAIL_FROM": "a@example.com, b@example.com"}, ["NOTIFICATIONS['MAIL_FROM']"]),
        ({"MAIL_FROM": "Example"}, ["NOTIFICATIONS['MAIL_FROM']"]),
        ({"MAIL_FROM": "news@"}, ["NOTIFICATIONS['MAIL_FROM']"]),
        ({"MAIL_FROM": " "}, ["NOTIFICATIONS['MAIL_FROM']"]),
        ({"SITE_URL": "https://[::1"}, ["NOTIFICATIONS['SITE_URL']"]),
        ({"SITE_URL": "https://ü..com"}, ["NOTIFICATIONS['SITE_URL']"]),
        ({"SITE_URL": "https://example.com:99999"}, ["NOTIFICATIONS['SITE_URL']"]),
        ({"SITE_URL": "https://example.com:port"}, ["NOTIFICATIONS['SITE_URL']"]),
        ({"SITE_URL": "https://"}, ["NOTIFICATIONS['SITE_URL']"]),
        ({"TONGUE": 1, "LANGUAGE": 1}, ["NOTIFICATIONS", "NOTIFICATIONS['LANGUAGE']"]),
        ({"language": None}, ["NOTIFICATIONS"]),
        ("LANGUAGE", ["NOTIFICATIONS"]),
    ],
)
def test_it_names_each_wrong_setting(settings, given, expected):
    settings.NOTIFICATIONS = given
    errors = check_settings()
    assert [error.msg.split()[0] for error in errors] == expected
    assert {error.id for error in errors} <= {"notifications.E002"}


def test_a_wrong_setting_is_not_used(settings):
    settings.NOTIFICATIONS = {"LANGUAGE": 1}
    with pytest.raises(ImproperlyConfigured, match="must be the dotted path of a function, or None, not 1"):
        conf.settings()


def test_it_knows_a_way_out_where_the_setting_is_the_sites_own(settings, monkeypatch):
    settings.NOTIFICATIONS = settings.REALTIME_NOTIFICATIONS = {"EMAIL": True}
    (error,) = check_settings()
    assert "RealtimeNotificationsConfig" in error.hint
    monkeypatch.setattr(conf, "setting_name", lambda: "REALTIME_NOTIFICATIONS")
    (error,) = check_settings()
    assert error.msg.startswith("REALTIME_NOTIFICATIONS has an unknown key")
    assert "RealtimeNotificationsConfig" not in error.hint


@pytest.mark.django_db
def test_it_reports_the_table_of_another_app_before_anything_is_migrated():
    assert check_database() == []
    assert check_database(databases=["default"]) == []
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE notifications_notification RENAME COLUMN title TO verb")
    (error,) = check_database(databases=["default"])
    assert (error.id, error.msg.rpartition(" ")[2]) == ("notifications.E004", "title.")
    assert "RealtimeNotificationsConfig" in error.hint


SMTP = "django.core.mail.backends.smtp.EmailBackend"


def mail_problems(settings, **given):
    settings.NOTIFICATIONS = given
    return [error.id for error in check_mail()]


def test_mails_need_the_address_of_the_site_and_a_link_to_unsubscribe(settings):
    assert mail_problems(settings) == []
    assert mail_problems(settings, MAIL=True, SITE_URL="https://example.com") == []
    assert mail_problems(settings, MAIL=True) == ["notifications.E007"]
    settings.ROOT_URLCONF = ()
    assert mail_problems(settings, MAIL=True) == ["notifications.E007", "notifications.E007"]
    assert mail_problems(settings, MAIL="wrong") == []  # another check says so


def test_mails_need_their_templates(settings):
    """A site without pages of its own has none: each mail was tried again for hours, and then had failed."""
    mails = {"MAIL": True, "SITE_URL": "https://example.com"}
    settings.TEMPLATES = []
    assert mail_problems(settings, **mails) == ["notifications.E008"] * 4
    assert mail_problems(settings) == []
    settings.TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
    assert mail_problems(settings, **mails) == []


def test_a_template_of_the_sites_with_a_mistake_is_named(settings, tmp_path):
    template = tmp_path / "notifications/mail/body.html"
    template.parent.mkdir(parents=True)
    template.write_text("{% for entry in entries %}")
    engine = {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "DIRS": [tmp_path]}
    settings.TEMPLATES = [engine]
    settings.NOTIFICATIONS = {"MAIL": True, "SITE_URL": "https://example.com"}
    (error,) = check_mail()
    assert error.id == "notifications.E008"
    assert "body.html, which cannot be loaded (TemplateSyntaxError" in error.msg


@pytest.mark.parametrize(
    ("mailers", "expected"),
    [
        ({"default": {"BACKEND": SMTP}}, ["notifications.W001"]),
        ({"default": {}}, ["notifications.W001"]),
        ({"default": {"BACKEND": SMTP, "OPTIONS": {"timeout": 10}}}, []),
        ({"default": {"BACKEND": "anymail.backends.mailgun.EmailBackend"}}, []),
    ],
)
def test_a_mail_server_that_hangs_is_given_up(settings, mailers, expected):
    settings.MAILERS = mailers
    assert mail_problems(settings, MAIL=True, SITE_URL="https://example.com") == expected


@pytest.mark.skipif(django.VERSION >= (6, 1), reason="MAILERS replace these settings")
def test_a_mail_server_that_hangs_is_given_up_by_the_older_settings(settings):
    settings.EMAIL_BACKEND = SMTP
    assert mail_problems(settings, MAIL=True, SITE_URL="https://example.com") == ["notifications.W001"]
    settings.EMAIL_TIMEOUT = 10
    assert mail_problems(settings, MAIL=True, SITE_URL="https://example.com") == []


@pytest.mark.parametrize(
    ("redis_url", "jobs_seconds", "expected"),
    [
        ("", 0, ["notifications.W003"]),
        ("", 5, []),
        ("redis://127.0.0.1:6379/0", 0, []),
    ],
)
def test_jobs_in_a_process_that_does_not_know_who_is_online(settings, redis_url, jobs_seconds, expected):
    settings.REALTIME = {**settings.REALTIME, "REDIS_URL": redis_url}
    given = {"JOBS_SECONDS": jobs_seconds, "SITE_URL": "https://example.com"}
    assert mail_problems(settings, MAIL=True, **given) == expected
    assert mail_problems(settings, **given) == []


def test_parameters_that_nobody_can_pass(monkeypatch):
    monkeypatch.setattr(types, "_types", dict(types._types))
    assert check_types() == []
    types.register("removed", title="%(title)s", message="Removed: %(reason)s", link="/posts/%(id)s")
    (warning,) = check_types()
    assert (warning.id, warning.msg) == (
        "notifications.W002",
        "The type 'removed' has parameters with names of options of notify: reason, title.",
    )
    with pytest.raises(types.MissingParameter, match="'title', which is an option of notify"):
        notify([], "removed", title=None, reason="spam", id=1)


def test_texts_with_a_percent_sign_that_is_no_parameter(monkeypatch):
    monkeypatch.setattr(types, "_types", dict(types._types))
    types.register("fine", title="%(count)d %% of %(name)s", message="%(total).2f", link="/%(name)s?q=%%20")
    assert check_types() == []
    types.register("sale", title=gettext_lazy("50% discount"), message="50%% off", link="/search?q=a%20b")
    assert [(warning.id, warning.msg.rpartition(": ")[2]) for warning in check_types()] == [
        ("notifications.W004", "'50% discount'."),
        ("notifications.W004", "'/search?q=a%20b'."),
    ]


def test_the_options_of_notify_are_known():
    named = signature(notify).parameters.values()
    assert {one.name for one in named if one.kind is not Parameter.VAR_KEYWORD} - {"actor"} == types.OPTIONS
