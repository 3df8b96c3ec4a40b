"""The EDA tab: a report in parts, drift by month, and how the first report comes about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.common.matrix_charts import heatmap_chart, ranking_chart
from apps.features.models import EdaReport, FeatureProfile, FeatureSet
from apps.pipelines.models import PipelineRun
from mlopslib.definition import FeatureSpec
from tests import factories
from tests.pages.test_every_page import _Inline

pytestmark = pytest.mark.django_db

EDA = "/features/sets/cust_balance/eda/"
EVIL = "<script>alert('x')</script>"
PARTS = ("features", "correlation", "target", "psi")


@pytest.fixture
def feature_set() -> FeatureSet:
    specs = [
        FeatureSpec("bal_avg_3m", "numeric"),
        FeatureSpec("bal_min_1m", "numeric"),
        FeatureSpec("grade", "category", EVIL),
        FeatureSpec("region", "category"),
    ]
    return factories.make_feature_set("cust_balance", features=specs)


def number(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "dtype": "numeric",
        "rows": 1_000,
        "missing": 25,
        "distinct": 400,
        "mean": 12.5,
        "std": 3.0,
        "minimum": -1.0,
        "maximum": 90_000.0,
        "quantiles": {"0.05": 1.25, "0.5": 11.5, "0.95": 60.0},
        "histogram": {"edges": [-1.0, 10.0, 90_000.0], "counts": [600, 375]},
        "top": [],
        "outlier_share": 0.021,
    }


def words(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "dtype": "category",
        "rows": 1_000,
        "missing": 0,
        "distinct": 2,
        "mean": None,
        "std": None,
        "minimum": None,
        "maximum": None,
        "quantiles": {},
        "histogram": {"edges": [], "counts": []},
        "top": [{"value": EVIL, "count": 700}, {"value": "=1+1", "count": 300}],
        "outlier_share": None,
    }


def report(target: bool = True) -> dict[str, Any]:
    scored = {
        "label": EVIL,
        "rows": 1_000,
        "positives": 80,
        "features": [
            {"name": "bal_min_1m", "iv": 0.05, "auc": 0.52, "auc_low": 0.49, "auc_high": 0.55, "bins": []},
            {
                "name": "bal_avg_3m",
                "iv": 0.31,
                "auc": 0.36,
                "auc_low": 0.33,
                "auc_high": 0.39,
                "bins": [{"label": EVIL, "rows": 500, "positives": 60, "rate": 0.12, "woe": 0.4, "iv": 0.1}],
            },
            {"name": "grade", "iv": None, "auc": None, "auc_low": None, "auc_high": None, "bins": []},
        ],
    }
    return {
        "rows": 1_000,
        "features": [number("bal_avg_3m"), number("bal_min_1m"), words("grade"), words("region")],
        "correlation": {
            "names": ["bal_avg_3m", "bal_min_1m"],
            "pearson": [[1.0, 0.8123], [0.8123, 1.0]],
            "spearman": [[1.0, -0.4321], [-0.4321, 1.0]],
            "spearman_rows": 500,
            "is_sampled": True,
        },
        "categories": {"names": ["grade", "region"], "cramers_v": [[1.0, 0.25], [0.25, 1.0]]},
        "between": {
            "numeric": ["bal_avg_3m", "bal_min_1m"],
            "category": ["grade", "region"],
            "ratio": [[0.1, None], [0.3, 0.2]],
        },
        "pairs": [
            {"a": "bal_avg_3m", "b": "bal_min_1m", "kind": "pearson", "value": 0.8123, "n": 960},
            {"a": "grade", "b": "dropped_since", "kind": "cramers_v", "value": 0.25, "n": 1_000},
        ],
        "target": scored if target else None,
    }


def explored(feature_set: FeatureSet, base_ym: str = "202606", *, target: bool = True) -> EdaReport:
    return EdaReport.objects.create(
        feature_set=feature_set,
        base_ym=base_ym,
        target_label=EVIL if target else "",
        rows=1_000,
        report=report(target),
    )


def test_without_a_report_the_page_offers_the_first_one(
    feature_set: FeatureSet, client_as: Callable[..., Client]
) -> None:
    client = client_as("operator")
    page = client.get(EDA).content.decode()
    assert "No report yet" in page and "Materialise a month" in page
    factories.make_profiles(feature_set)
    factories.make_model(feature_sets=[feature_set, factories.make_feature_set("cust_txn")])
    page = client.get(EDA).content.decode()
    assert 'action="/runs/start/eda/cust_balance/"' in page
    assert '<option value="202606">2026-06</option>' in page
    assert "<option>loan_needs</option>" in page
    assert "Make the report" not in client_as("viewer").get(EDA).content.decode()


def test_the_button_starts_a_run_on_the_target_of_a_model(
    feature_set: FeatureSet, client_as: Callable[..., Client]
) -> None:
    factories.make_profiles(feature_set)
    model = factories.make_model(feature_sets=[feature_set, factories.make_feature_set("cust_txn")])
    client = client_as("operator")
    data = {"base_ym": "202605", "target_model": model.name, "idempotency_key": "eda-1", "next": EDA}
    for _press in range(2):
        assert client.post("/runs/start/eda/cust_balance/", data).status_code == 302
    run = PipelineRun.objects.get()
    assert (run.template, run.base_ym) == ("eda", "202605")
    assert run.params["target"] == {"label": "loan_needs", "sql": model.spec.target_sql}
    refused = client.post(
        "/runs/start/eda/cust_balance/", data | {"target_model": "none", "idempotency_key": ""}
    )
    assert refused["Location"] == EDA
    away = {"target_model": "none", "next": "https://elsewhere.example/"}
    assert client.post("/runs/start/eda/cust_balance/", away)["Location"] == EDA
    assert client_as("viewer").post("/runs/start/eda/cust_balance/", data).status_code == 403
    assert client.post("/runs/start/training/cust_balance/", data).status_code == 404
    assert client.post("/runs/start/eda/nowhere/", data).status_code == 404


def test_each_part_says_its_figures(feature_set: FeatureSet, client_as: Callable[..., Client]) -> None:
    explored(feature_set)
    client = client_as("viewer")
    page = client.get(EDA).content.decode()
    assert "2.50%" in page  # 25 of 1,000 are missing
    assert "−1 – 10" in page or "-1 – 10" in page
    page = client.get(f"{EDA}?part=correlation").content.decode()
    assert "0.812" in page and "Pearson, ordered" in page
    assert '<a class="mono" href="/features/cust_balance/bal_avg_3m/">bal_avg_3m</a>' in page
    assert "<code>dropped_since</code>" in page
    page = client.get(f"{EDA}?part=correlation&method=spearman").content.decode()
    assert "Spearman, ordered" in page and "fixed sample of 500 rows" in page
    page = client.get(f"{EDA}?part=target").content.decode()
    assert "8.00%" in page
    assert page.index(">bal_avg_3m</a>") < page.index(">bal_min_1m</a>"), "the strongest comes first"


@pytest.mark.parametrize("part", PARTS)
def test_hostile_words_come_out_as_text_and_the_csp_holds(
    part: str, feature_set: FeatureSet, client_as: Callable[..., Client]
) -> None:
    explored(feature_set)
    factories.make_profiles(feature_set)
    for query in (f"part={part}", f"part={part}&feature=grade&method={EVIL}&target={EVIL}&base_ym={EVIL}"):
        response = client_as("data_scientist").get(f"{EDA}?{query}")
        assert response.status_code == 200
        page = response.content.decode()
        assert "<script>alert" not in page
        looked = _Inline()
        looked.feed(page)
        assert looked.found == []
        assert page.count("<h1") == 1


@pytest.mark.parametrize("part", PARTS)
def test_each_part_has_its_csv_without_formulas(
    part: str, feature_set: FeatureSet, client_as: Callable[..., Client]
) -> None:
    explored(feature_set)
    factories.make_profiles(feature_set)
    response = client_as("viewer").get(f"{EDA}?part={part}&format=csv")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    lines = response.content.decode("utf-8-sig").splitlines()
    assert len(lines) > 1
    assert not any(line.startswith(("=", "+", "@")) for line in lines)


def test_no_report_has_no_csv(feature_set: FeatureSet, client_as: Callable[..., Client]) -> None:
    assert client_as("viewer").get(f"{EDA}?format=csv").status_code == 404


def test_month_and_target_of_the_report_lie_in_the_address(
    feature_set: FeatureSet, client_as: Callable[..., Client]
) -> None:
    explored(feature_set, "202605")
    explored(feature_set, "202606", target=False)
    client = client_as("viewer")
    assert client.get(EDA).context["row"].base_ym == "202606"
    assert client.get(f"{EDA}?base_ym=2026-05").context["row"].base_ym == "202605"
    assert client.get(f"{EDA}?base_ym=202605&target=").context["row"].base_ym == "202606"
    page = client.get(f"{EDA}?part=target").content.decode()
    assert "This report has no target" in page


def test_an_empty_report_opens(feature_set: FeatureSet, client_as: Callable[..., Client]) -> None:
    bare = {
        "rows": 0,
        "features": [],
        "correlation": {"names": [], "pearson": [], "spearman": []},
        "categories": {"names": [], "cramers_v": []},
        "between": {"numeric": [], "category": [], "ratio": []},
        "pairs": [],
        "target": {"label": "t", "rows": 0, "positives": 0, "features": []},
    }
    EdaReport.objects.create(feature_set=feature_set, base_ym="202606", target_label="t", rows=0, report=bare)
    for part in PARTS:
        assert client_as("viewer").get(f"{EDA}?part={part}").status_code == 200, part


def test_drift_names_its_reference_and_marks_more_than_chance(
    feature_set: FeatureSet, client_as: Callable[..., Client]
) -> None:
    factories.make_profiles(feature_set)
    rows = FeatureProfile.objects.filter(base_ym="202606")
    rows.filter(feature__name="bal_avg_3m").update(psi=0.31, psi_high=0.01, psi_q=0.001)
    rows.filter(feature__name="bal_min_1m").update(psi=0.06, psi_high=0.01, psi_q=0.2)
    rows.filter(feature__name="grade").update(psi=0.06, psi_high=0.01, psi_q=None, unseen=7)
    response = client_as("viewer").get(f"{EDA}?part=psi")
    page = response.content.decode()
    assert "against 2026-04" in page
    assert "habit of the trade, not a test" in page
    cells = dict(response.context["table"].lines)
    marked = {name: line[-1].is_more_than_chance for name, line in cells.items()}
    assert marked == {"bal_avg_3m": True, "bal_min_1m": False, "grade": True, "region": False}
    assert response.context["table"].flagged == 2
    assert "PSI 0.3100, act, chance alone gives up to 0.0100, q 0.001, more than chance" in page
    assert "7 rows with a category that the reference did not have" in page


def test_drift_against_the_edges_of_a_champion(
    feature_set: FeatureSet, client_as: Callable[..., Client]
) -> None:
    other = factories.make_feature_set("cust_txn")
    model = factories.make_model(feature_sets=[feature_set, other])
    version = factories.make_version(model, stage="champion")
    page = client_as("viewer").get(f"{EDA}?part=psi&against={version}").content.decode()
    assert f"against the edges of {version}" in page
    assert f'href="{version.get_absolute_url()}"' in page
    assert "txn_cnt_3m" not in page, "inputs of another set are not this set's"


def test_an_older_version_keeps_its_own_reports(
    feature_set: FeatureSet, client_as: Callable[..., Client]
) -> None:
    explored(feature_set)
    factories.make_feature_set("cust_balance")
    client = client_as("viewer")
    assert "No report yet" in client.get(EDA).content.decode()
    assert client.get(f"{EDA}?version=1").context["row"] is not None
    for wrong in ("9", "x", "99999999999999999999"):
        assert client.get(f"{EDA}?version={wrong}").status_code == 404


def test_parts_take_a_pinned_number_of_queries(
    feature_set: FeatureSet, client_as: Callable[..., Client], django_assert_max_num_queries: Any
) -> None:
    explored(feature_set)
    factories.make_profiles(feature_set, months=[f"2025{month:02d}" for month in range(1, 13)])
    client = client_as("viewer")
    for part in PARTS:
        with django_assert_max_num_queries(16):
            client.get(f"{EDA}?part={part}")


def test_a_heatmap_holds_the_figures_of_its_table() -> None:
    chart = heatmap_chart(
        "id", "t", "s", ["a", "b"], ["x", "y", "z"], [[1, None, 0.5], [0, -1, 0]], row_head="f", signed=True
    )
    [trace] = chart.figure["data"]
    assert trace["z"] == [[1, None, 0.5], [0, -1, 0]]
    assert (trace["zmin"], trace["zmax"], trace["showscale"]) == (-1, 1, False)
    assert chart.head == ["f", "x", "y", "z"]
    assert chart.rows == [["a", 1, None, 0.5], ["b", 0, -1, 0]]


def test_a_ranking_shows_intervals_around_its_points() -> None:
    chart = ranking_chart(
        "id", "t", "s", ["a"], [0.7], label_head="f", value_head="AUC", low=[0.6], high=[0.9]
    )
    [trace] = chart.figure["data"]
    assert trace["error_x"]["array"] == [pytest.approx(0.2)]
    assert trace["error_x"]["arrayminus"] == [pytest.approx(0.1)]
    assert chart.rows == [["a", 0.7, 0.6, 0.9]]
