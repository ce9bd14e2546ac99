"""The pinned requirements are in step with pyproject.toml and the same everywhere."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = {
    "requirements.txt": PROJECT["dependencies"],
    "requirements-dev.txt": PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"],
}
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
