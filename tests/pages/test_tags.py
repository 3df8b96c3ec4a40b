"""How a figure, a moment, a month and a band are shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.template import Context, Template
from django.utils import timezone

from portal.icons import ICONS
from portal.templatetags import gijun


def show(text: str, **values: object) -> str:
    return Template(text).render(Context(values))


@pytest.mark.parametrize(
    ("tag", "value", "shown"),
    [
        ("{% figure v %}", 0.81649, "0.816"),
        ("{% figure v 2 %}", 1135.555, "1,135.56"),
        ("{% figure v 0 %}", 1_204_118, "1,204,118"),
        ("{% figure v 3 signed=True %}", 0.032, "+0.032"),
        ("{% figure v 3 signed=True %}", -0.134, "−0.134"),
        ("{% figure v 3 signed=True %}", -0.0001, "0.000"),
        ("{% figure v 1 percent=True %}", 0.0821, "8.2%"),
        ("{% figure v %}", None, "–"),
        ("{% figure v %}", float("nan"), "–"),
        ("{% figure v %}", "", "–"),
        ("{% figure nothing.here %}", 1, "–"),
        ("{% psi nothing.here %}", 1, "–"),
        ("{% month v %}", "202610", "2026-10"),
        ("{% month v %}", "", "–"),
        ("{{ v|filesize }}", 4_510_000, "4.5 MB"),
        ("{{ v|filesize }}", 864, "864 B"),
        ("{{ v|filesize }}", None, "–"),
        ("{{ v|word }}", "SCHEDULE", "by schedule"),
        ("{{ v|word }}", "RUNNING", "Running"),
        ("{{ v|safe_back }}", "http://bank/features/?q=1", "/features/"),
        ("{{ v|safe_back }}", "//evil", "/"),
        ("{{ v|safe_back }}", None, "/"),
    ],
)
def test_a_value_is_shown_as(tag, value, shown):
    html = show(tag, v=value)
    assert html.replace('<span class="figure">', "").replace('<span class="none">', "").replace(
        "</span>", ""
    ) == shown  # fmt: skip


@pytest.mark.parametrize(
    ("value", "word"), [(0.05, None), (0.1, "watch"), (0.25, "act"), (None, None), ("", None)]
)
def test_a_band_is_a_word_and_not_a_colour_alone(value, word):
    html = show("{% band v %}", v=value)
    assert (f">{word}<" in html) if word else html == ""


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(minutes=48), "48 min ago"),
        (timedelta(hours=2), "2 h ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=9), "9 days ago"),
        (timedelta(days=400), "2025-09-"),
        (timedelta(days=-1), "2026-10-"),
    ],
)
def test_a_moment_is_told_by_its_age(age, words):
    now = datetime(2026, 10, 22, 3, 0, tzinfo=UTC)
    assert gijun.ago(now - age, now).startswith(words)


def test_a_moment_carries_its_full_time_and_zone():
    html = gijun.when(datetime(2026, 10, 3, 17, 0, tzinfo=UTC))
    assert 'datetime="2026-10-04T02:00:00+09:00"' in html
    assert 'title="2026-10-04 02:00:00 KST"' in html


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.42, "0.4 s"), (12, "12 s"), (185, "3 min 05 s"), (7260, "2 h 01 min")]
)
def test_a_duration_is_short(seconds, words):
    start = timezone.now()
    assert gijun.took(start, start + timedelta(seconds=seconds)) == words
    assert gijun.took(None, None) == "–"


def test_a_status_has_tone_icon_and_word():
    html = show("{% status v %}", v="FAILED")
    assert 'class="pill act"' in html
    assert "<svg" in html
    assert "Failed" in html
    assert "Odd thing" in show("{% status v %}", v="ODD_THING<b>").replace("&lt;b&gt;", "")
    assert "<b>" not in show("{% status v %}", v="<b>")


def test_a_bar_stays_on_its_scale():
    assert 'class="bar-fill" width="56.0"' in gijun.bar(9.0, 0.5)
    assert 'class="bar-fill" width="0.0"' in gijun.bar(None, 0.5)
    assert 'class="bar-fill" width="0.0"' in gijun.bar(-1.0, 0.5)
    assert 'x="28.0"' in gijun.bar(0.1, 0.5, 0.25)


def test_a_sparkline_needs_two_figures_and_steps_over_a_gap():
    assert gijun.sparkline([0.1]) == ""
    assert gijun.sparkline([None, None]) == ""
    points = gijun.sparkline([0.0, None, 0.12]).split('points="')[1].split('"')[0].split()
    assert points == ["2.0,18.0", "74.0,3.0"]


def test_every_icon_draws():
    for name in ICONS:
        assert 'aria-hidden="true"' in gijun.icon(name)
    assert 'role="img" aria-label="&lt;b&gt;"' in gijun.icon("check", "<b>")
