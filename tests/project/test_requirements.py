"""The pinned requirements are in step with pyproject.toml and the same everywhere."""

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
ALL = PROJECT["dependencies"] + [text for extra in EXTRAS.values() for text in extra]
WANTED = {"requirements.txt": [text for text in ALL if text not in EXTRAS["dev"]], "requirements-dev.txt": ALL}
ENTRY = re.compile(r"^([a-z0-9-]+)==(\S+)\n((?: +#.*\n)*)", re.M)


def read_pins(name: str) -> dict[str, str]:
    return {package: version for package, version, _ in ENTRY.findall((ROOT / name).read_text())}


@pytest.mark.parametrize("name", WANTED)
def test_what_is_asked_for_is_pinned(name: str) -> None:
    pins = read_pins(name)
    for requirement in map(Requirement, WANTED[name]):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("name", WANTED)
def test_what_is_pinned_is_asked_for(name: str) -> None:
    entries = ENTRY.findall((ROOT / name).read_text())
    direct = {package for package, _, why in entries if f"{PROJECT['name']} (pyproject.toml)" in why}
    assert direct == {canonicalize_name(Requirement(text).name) for text in WANTED[name]}, "run `make requirements`"


def test_running_and_testing_pin_the_same_versions() -> None:
    assert read_pins("requirements.txt").items() <= read_pins("requirements-dev.txt").items()


@pytest.mark.parametrize("name", WANTED)
def test_no_address_is_pinned(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    assert not [line for line in lines if "://" in line or line.startswith("-")]


def test_a_site_gets_no_more_than_it_needs() -> None:
    """Above all no driver of a database, which Django might prefer to the site's own."""
    names = {Requirement(text).name for text in PROJECT["dependencies"]}
    assert names == {"channels", "django", "djangorestframework", "djangorestframework-simplejwt", "msgspec"}


def test_nothing_takes_the_sites_django_down() -> None:
    found = [(name, Requirement(text)) for name in read_pins("requirements.txt") for text in requires(name) or []]
    found += [("ours", Requirement(text)) for text in ALL]
    bounds = [(name, wanted) for name, wanted in found if canonicalize_name(wanted.name) == "django"]
    assert len(bounds) > 5
    assert [(name, str(wanted)) for name, wanted in bounds if not wanted.specifier.contains("2099.1")] == []
