"""The doors of the demo: who gets in with a click, as whom, and that there are none elsewhere."""

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import Client

from project.demo.languages import find_language

pytestmark = pytest.mark.django_db

SIGN_IN, ADMIN = "/demo/sign-in", "/demo/admin"


@pytest.fixture
def demo(settings: Any) -> None:
    settings.DEMO = settings.DEBUG = True
    call_command("load_demo", bare=True, verbosity=0)


@pytest.mark.usefixtures("demo")
def test_a_click_gives_a_window_the_tokens_of_a_person() -> None:
    client = Client()
    login = client.post(SIGN_IN, {"username": "alice"}).json()
    assert login["username"] == "alice"
    answer = client.get("/api/v1/rooms", headers={"Authorization": f"Bearer {login['access']}"})
    assert {room["id"] for room in answer.json()["rooms"]} == {"general", "team"}
    assert "sessionid" not in client.cookies  # or all windows of the browser would be alice


@pytest.mark.usefixtures("demo")
def test_windows_stay_signed_in_when_the_demo_is_loaded_again() -> None:
    """As `make run` does at each start."""
    client = Client()
    client.post(ADMIN)
    login = client.post(SIGN_IN, {"username": "alice"}).json()
    call_command("load_demo", bare=True, verbosity=0)
    bearer = {"Authorization": f"Bearer {login['access']}"}
    assert Client().get("/api/v1/rooms", headers=bearer).status_code == 200
    assert Client().post("/api/v1/auth/refresh", {"refresh": login["refresh"]}).status_code == 200
    assert client.get("/admin/").status_code == 200


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize("name", ["admin", "dana", "nobody", "", "\0", "alice\0", "a" * 100_000])
def test_nobody_else_can_be_had(name: str) -> None:
    answer = Client().post(SIGN_IN, {"username": name})
    assert answer.status_code == 404
    assert answer.json().keys() == {"detail"}


@pytest.mark.usefixtures("demo")
def test_its_page_offers_only_those_who_can_be_had() -> None:
    call_command("load_demo", verbosity=0)
    people = get_user_model().objects
    assert find_choices() == {"alice", "bob", "carol"}
    people.filter(username="alice").delete()
    people.filter(username="bob").update(is_active=False)
    assert find_choices() == {"carol"}
    people.filter(username="carol").delete()
    assert find_choices() == set()


def find_choices() -> set[str]:
    """Those as whom the page signs in: this window, and a second one."""
    page = Client().get("/").content.decode()
    here = set(re.findall(r'<button name="username" value="(\w+)"', page))
    assert set(re.findall(r'href="/\?as=(\w+)"', page)) == here
    return here


@pytest.mark.usefixtures("demo")
def test_a_disabled_person_cannot_be_had() -> None:
    get_user_model().objects.filter(username__in=["alice", "admin"]).update(is_active=False)
    assert Client().post(SIGN_IN, {"username": "alice"}).status_code == 404
    assert Client().post(ADMIN).status_code == 404


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize("path", [SIGN_IN, ADMIN])
def test_other_sites_cannot_click(path: str) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(path, {"username": "alice"}).status_code == 403
    assert client.get(path).status_code == 405
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get("/").content.decode())
    assert token is not None
    assert client.post(path, {"username": "alice", "csrfmiddlewaretoken": token[1]}).status_code in (200, 302)


@pytest.mark.usefixtures("demo")
def test_another_click_opens_the_admin() -> None:
    client = Client()
    assert client.post(ADMIN, follow=True).request["PATH_INFO"] == "/admin/"
    assert client.get("/admin/").status_code == 200


@pytest.mark.usefixtures("demo")
def test_its_page_runs_nothing_that_is_written_in_it() -> None:
    answer = Client().get("/")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "no-store" not in answer.headers["Cache-Control"]  # it would not be kept for the way back
    page = answer.content.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", page)
    assert all(name in page for name in ("Alice", "Bob", "Carol")) or "alice" in page


@pytest.mark.usefixtures("demo")
def test_a_person_is_notified_in_the_language_of_their_window() -> None:
    alice = get_user_model().objects.get(username="alice")
    assert find_language(alice) == "en"
    Client().post(SIGN_IN, {"username": "alice"}, headers={"Accept-Language": "zh-hans"})
    assert find_language(alice) == "zh-hans"


@pytest.mark.usefixtures("demo")
def test_its_page_speaks_chinese() -> None:
    page = Client().get("/", headers={"Accept-Language": "zh-hans"}).content.decode()
    assert '<html lang="zh-hans">' in page
    assert "切断我的网络" in page
    texts = Client().get("/demo/texts.js", headers={"Accept-Language": "zh-hans"}).content.decode()
    assert "\\u64a4\\u9500" in texts  # "Undo"


def test_elsewhere_there_are_no_doors() -> None:
    for path in (SIGN_IN, ADMIN):
        assert Client().post(path, {"username": "alice"}).status_code == 404
    assert "demo" not in Client().get("/").content.decode()


def test_a_deployment_with_the_demo_is_refused(settings: Any) -> None:
    def found() -> set[str | None]:
        return {message.id for message in run_checks(include_deployment_checks=True)}

    assert "project.E001" not in found()
    settings.DEMO = True
    assert "project.E001" in found()
