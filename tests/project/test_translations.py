"""Every compiled translation is what its source says, and nothing is left untranslated."""

import gettext
import re
from ast import literal_eval
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.utils.translation import get_language

from realtime.asyncapi.page_texts import list_texts, unwrap
from tests.contract.description import read_document

ROOT = Path(__file__).resolve().parents[2]
CATALOG = "locale/*/LC_MESSAGES/*.po"
SOURCES = sorted([*ROOT.glob(f"*/{CATALOG}"), *ROOT.glob(f"project/*/{CATALOG}")])
STRING = re.compile(r'^(?:(msgctxt|msgid|msgid_plural|msgstr|msgstr\[(\d+)\]) )?(".*")$')


def read_entries(source: Path) -> list[dict[str, str]]:
    """The entries of a .po file as their keywords and texts, obsolete ones left out."""
    entries: list[dict[str, str]] = []
    for block in source.read_text().split("\n\n"):
        entry: dict[str, str] = {"fuzzy": ""} if re.search(r"^#,.*fuzzy", block, re.M) else {}
        keyword = ""
        for line in block.splitlines():
            if found := STRING.match(line):
                keyword = found[1] or keyword
                entry[keyword] = entry.get(keyword, "") + literal_eval(found[3])
        if entry.get("msgid"):
            entries.append(entry)
    return entries


def expected_catalog(source: Path) -> dict[object, str]:
    catalog: dict[object, str] = {}
    for entry in read_entries(source):
        key = f"{entry['msgctxt']}\4{entry['msgid']}" if "msgctxt" in entry else entry["msgid"]
        if "msgid_plural" in entry:
            forms = [name for name in entry if name.startswith("msgstr[")]
            catalog |= {(key, number): entry[f"msgstr[{number}]"] for number in range(len(forms))}
        else:
            catalog[key] = entry["msgstr"]
    return catalog


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: f"{source.parts[-5]}-{source.stem}")
def test_the_compiled_file_is_what_its_source_says(source: Path) -> None:
    with source.with_suffix(".mo").open("rb") as file:
        compiled = dict(gettext.GNUTranslations(file)._catalog)  # type: ignore[attr-defined]
    compiled.pop("", None)
    assert compiled == expected_catalog(source), "run `manage.py compilemessages`"


def test_every_text_about_the_sockets_has_a_translation() -> None:
    """And no other text has one: `makemessages` does not read docstrings."""
    found = [entry["msgid"] for source in SOURCES if source.stem == "sockets" for entry in read_entries(source)]
    assert sorted(found) == sorted(set(map(unwrap, list_texts(read_document()))))


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: f"{source.parts[-5]}-{source.stem}")
def test_nothing_is_left_untranslated(source: Path) -> None:
    left = [
        entry["msgid"]
        for entry in read_entries(source)
        if "fuzzy" in entry or not all(text for name, text in entry.items() if name.startswith("msgstr"))
    ]
    assert not left


@pytest.mark.django_db
@pytest.mark.parametrize("turn", ["first", "second"])
def test_the_language_of_a_request_ends_with_its_test(turn: str) -> None:
    """Django leaves it active in the thread, and the next test would read texts in it."""
    assert get_language() == settings.LANGUAGE_CODE
    Client().get("/", headers={"accept-language": "zh-hans"})
    assert get_language() == "zh-hans"


@pytest.mark.parametrize("domain", sorted({source.stem for source in SOURCES}))
def test_no_text_is_translated_in_two_ways(domain: str) -> None:
    """Django has one catalog for all apps. A text with two meanings needs a context."""
    found: dict[object, set[str]] = {}
    for source in SOURCES:
        if source.stem == domain:
            for key, text in expected_catalog(source).items():
                found.setdefault(key, set()).add(text)
    assert {key: texts for key, texts in found.items() if len(texts) > 1} == {}
