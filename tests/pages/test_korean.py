"""The Korean catalogue is whole, keeps its placeholders, and what is shipped compiled is what is written."""

from __future__ import annotations

import gettext
import re
from pathlib import Path

from django.conf import settings

FOLDER = Path(settings.LOCALE_PATHS[0]) / "ko" / "LC_MESSAGES"
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w+\}|</?\w+")


def entries() -> list[tuple[str, str]]:
    """(text, translation) of each entry of the .po file; its lines are not wrapped."""
    found = []
    for block in (FOLDER / "django.po").read_text().split("\n\n")[1:]:
        text = "".join(re.findall(r'^msgid "(.*)"$', block, re.MULTILINE))
        plural = "".join(re.findall(r'^msgid_plural "(.*)"$', block, re.MULTILINE))
        korean = "".join(re.findall(r'^msgstr(?:\[0\])? "(.*)"$', block, re.MULTILINE))
        found.append((plural or text, korean))
    return found


def test_every_text_has_its_korean():
    assert len(entries()) > 500
    assert [text for text, korean in entries() if not korean] == []


def test_placeholders_are_those_of_the_english():
    for text, korean in entries():
        assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(korean)), text


def test_the_compiled_file_is_up_to_date():
    with (FOLDER / "django.mo").open("rb") as file:
        compiled = set(gettext.GNUTranslations(file)._catalog.values())
    written = {korean.replace('\\"', '"') for _text, korean in entries()}
    assert written <= compiled
