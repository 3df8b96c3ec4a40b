"""Figures are what Plotly accepts, speak only in colours that the CSS names, and carry their table."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from pathlib import Path

import plotly.graph_objects as go
import pytest
from django.conf import settings
from django.contrib.staticfiles import finders

from apps.common.charting import Chart, Limit, Series, bar_chart, histogram_chart, month_chart, psi_band

CSS = (Path(settings.BASE_DIR) / "static" / "css" / "base.css").read_text()
MONTHS = ["202511", "202512", "202601", "202602"]


def charts() -> list[Chart]:
    challenger = Series(
        "v2", [0.81, None, 0.82, 0.8], "challenger", [0.8, None, 0.81, 0.79], [0.82, None, 0.83, 0.81]
    )
    champion = Series("v1", [0.79, 0.78, 0.77, 0.76], "champion")
    psi = Series("PSI", [None, 0.1, 0.2, 0.5])
    missing = Series("Missing", [0, 0.001, 0.002, 0])
    lift = [Series("v1", [3, 1], "champion"), Series("v2", [4, 1], "challenger")]
    floor = Limit(0.78, "floor 0.78")
    return [
        month_chart("auc", "AUC", "by month", MONTHS, [champion, challenger], limits=[floor]),
        month_chart("psi", "PSI", "", MONTHS, [psi], psi_bands=True),
        month_chart("share", "Missing", "", MONTHS, [missing], percent=True, from_zero=True),
        month_chart("none", "Nothing", "", [], [Series("x", [])]),
        bar_chart("lift", "Lift", "", ["D1", "D2"], lift, label_head="Decile", baseline=1.0),
        histogram_chart("bins", "Bins", "", ["≤ 1", "missing"], [Series("a", [0.9, 0.1])], label_head="Bin"),
    ]


@pytest.mark.parametrize("chart", charts(), ids=lambda chart: chart.id)
def test_plotly_accepts_the_figure(chart):
    text = json.dumps(chart.figure, allow_nan=False)
    text = re.sub(r"var\(--font\)", "sans-serif", text)
    go.Figure(json.loads(re.sub(r"var\(--[a-z-]+\)", "#123456", text)))
    assert {trace["type"] for trace in chart.figure["data"]} <= {"scatter", "bar"}


@pytest.mark.parametrize("chart", charts(), ids=lambda chart: chart.id)
def test_every_colour_has_a_name_in_the_css(chart):
    for name in re.findall(r"var\((--[a-z-]+)\)", json.dumps(chart.figure)):
        assert f"{name}:" in CSS, name
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b", json.dumps(chart.figure))


def test_a_gap_stays_a_gap_and_a_lonely_month_keeps_its_interval():
    figure = charts()[0].figure
    bands = [trace for trace in figure["data"] if trace.get("hoverinfo") == "skip"]
    assert [band["x"] for band in bands] == [
        ["2025-11", "2025-11"],
        ["2026-01", "2026-02", "2026-02", "2026-01"],
    ]
    assert "fill" not in bands[0]
    assert bands[1]["fill"] == "toself"
    assert bands[1]["y"] == [0.83, 0.81, 0.79, 0.81]


def test_roles_differ_by_more_than_colour():
    lines = [trace for trace in charts()[0].figure["data"] if trace.get("name")]
    looks = {(trace["line"]["dash"], trace["marker"]["symbol"]) for trace in lines}
    assert looks == {("dot", "square"), ("solid", "circle")}
    bars = charts()[4].figure["data"]
    assert "pattern" in bars[0]["marker"]
    assert "pattern" not in bars[1]["marker"]


def test_the_table_holds_the_figure_s_numbers():
    chart = charts()[0]
    assert chart.head == ["Month", "v1", "v2", "v2, low", "v2, high"]
    assert chart.rows[0] == ["2025-11", 0.79, 0.81, 0.8, 0.82]
    assert chart.rows[1] == ["2025-12", 0.78, None, None, None]
    read = list(csv.reader(io.StringIO(chart.csv)))
    assert read[0] == chart.head
    assert read[2] == ["2025-12", "0.78", "", "", ""]


def test_a_label_that_a_spreadsheet_would_run_is_defused():
    chart = histogram_chart("x", "x", "", ["=1+1", "@sum"], [Series("+a", [1, -2])], label_head="Bin")
    assert chart.csv.splitlines() == ["Bin,'+a", "'=1+1,1", "'@sum,-2"]


def test_bands_begin_at_their_limits():
    assert [psi_band(v) for v in (None, 0.0, 0.0999, 0.1, 0.2499, 0.25, 9)] == [
        "", "stable", "stable", "watch", "watch", "act", "act",
    ]  # fmt: skip


def test_both_bands_are_on_the_axis_however_small_the_psi():
    quiet = month_chart("p", "p", "", MONTHS, [Series("PSI", [0.01] * 4)], psi_bands=True)
    assert quiet.figure["layout"]["yaxis"]["range"][1] > 0.25
    loud = month_chart("p", "p", "", MONTHS, [Series("PSI", [0.01, 0.2, 0.9, 2.0])], psi_bands=True)
    assert loud.figure["layout"]["yaxis"]["range"][1] > 2.0


def test_the_year_stands_under_the_first_month_and_where_it_changes():
    axis = charts()[0].figure["layout"]["xaxis"]
    assert axis["ticktext"] == ["Nov<br>2025", "Dec", "Jan<br>2026", "Feb"]
    many = month_chart("m", "m", "", [f"2025{m:02d}" for m in range(1, 13)], [Series("x", [1] * 12)])
    assert len(many.figure["layout"]["xaxis"]["tickvals"]) == 6


def test_plotly_js_comes_from_the_wheel():
    found = finders.find("plotly/plotly.min.js")
    assert found.endswith("package_data/plotly.min.js")
    assert not finders.find("plotly/widgetbundle.js")
    assert not finders.find("plotly/../plotly.min.js")
    listed = [
        path for finder in finders.get_finders() for path, storage in finder.list([]) if "plotly" in path
    ]
    assert listed == ["plotly.min.js"]


def test_the_policy_knows_the_styles_that_this_plotly_adds():
    """When plotly is raised, the hash of its map style changes, and this says what to put in the settings."""
    code = Path(finders.find("plotly/plotly.min.js")).read_text(encoding="utf-8")
    styles = re.findall(r"\.textContent='(\.maplibregl-.*?)',document\.head", code, re.DOTALL)
    assert len(styles) == 1
    allowed = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]["style-src"]
    for style in ("", styles[0]):
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in allowed


def test_the_chart_script_talks_to_no_cloud():
    script = (Path(settings.BASE_DIR) / "static" / "js" / "charts.js").read_text()
    assert 'plotlyServerURL: ""' in script
    assert "displaylogo: false" in script
    assert "modeBarButtons: [[" in script
