"""From source columns to endpoints: what is kept, what is drawn, what breaks."""

from __future__ import annotations

import pandas as pd
import pytest
from django.core.management import call_command

from apps.features.impact import what_breaks
from apps.features.lineage import rebuild_sources, store_sources
from apps.features.lineage_graph import graph_of
from apps.features.models import FeatureSet, FeatureSource, SetSource
from mlopslib.definition import FeatureSpec
from mlopslib.offline import open_store
from tests.factories import make_endpoint, make_feature_set, make_model, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.database]

SCHEMA = {
    "balances": {"customer_id": "string", "ym": "string", "balance": "double"},
    "customers": {"customer_id": "string", "grade": "string"},
}
SQL = """SELECT b.customer_id,
  AVG(b.balance) AS bal_avg_3m, MIN(b.balance) AS bal_min_1m, MAX(c.grade) AS grade
FROM balances b JOIN customers c ON c.customer_id = b.customer_id
WHERE b.ym BETWEEN '{bf_2m_ym}' AND '{base_ym}' GROUP BY b.customer_id"""


def make_balances(name: str = "cust_balance", **fields) -> FeatureSet:
    specs = [FeatureSpec(each, "numeric") for each in ("bal_avg_3m", "bal_min_1m", "grade")]
    values = {"sql": SQL, "source_tables": ["balances", "customers"], "features": specs} | fields
    row = make_feature_set(name, **values)
    store_sources(row, SCHEMA)
    return row


def test_each_feature_keeps_its_columns_and_the_set_those_that_decide_its_rows():
    row = make_balances()
    found = {str(source): source.feature.name for source in FeatureSource.objects.order_by("-feature")}
    assert found == {"balances.balance": "bal_avg_3m", "customers.grade": "grade"}
    assert {str(source) for source in SetSource.objects.all()} == {
        "balances.customer_id",
        "balances.ym",
        "customers.customer_id",
    }
    # again: replaced, not added
    assert store_sources(row, SCHEMA) == FeatureSource.objects.count() + SetSource.objects.count()


def test_sources_of_sets_of_the_past_are_read_again(tmp_path, settings, capsys):
    settings.OFFLINE_URL = f"delta://{tmp_path / 'offline'}"
    store = open_store(settings.OFFLINE_URL)
    for table, columns in SCHEMA.items():
        frame = pd.DataFrame({name: [1.5] if kind == "double" else ["a"] for name, kind in columns.items()})
        store.save_pandas_to_table(frame, table, table_creation=True)
    good = make_balances()
    FeatureSource.objects.all().delete()
    make_feature_set("lost", source_tables=["no_such_table"])
    found = rebuild_sources(store, FeatureSet.objects.order_by("pk"))
    assert found.done == 1
    assert list(found.skipped) == ["lost v1"]
    assert FeatureSource.objects.filter(feature__feature_set=good).count() == 3
    call_command("rebuild_sources", "cust_balance")
    assert "1 versions read" in capsys.readouterr().out


@pytest.fixture
def served():
    """A set whose v1 the champion was trained on, while the definition has moved on to v2."""
    first = make_balances()
    model = make_model(feature_sets=[first])
    make_version(model, stage="champion")
    make_endpoint("loan-needs", model=model)
    second = make_balances()
    definition = model.definition
    definition["features"] = [item for item in definition["features"] if item["column"] != "grade"]
    definition["features"] = [{**item, "version": 2} for item in definition["features"]]
    model.definition = definition
    model.save()
    model.feature_sets.set([second])
    return model


def test_a_column_takes_its_features_its_models_and_their_endpoints_along(served):
    impact = what_breaks("balances", "balance")
    assert [(item.feature_set.version, [f.name for f in item.features]) for item in impact.sets] == [
        (2, ["bal_avg_3m", "bal_min_1m"]),
        (1, ["bal_avg_3m", "bal_min_1m"]),
    ]
    assert [item.model.name for item in impact.models] == ["loan_needs"]
    assert impact.models[0].through == ["", "v1"]
    assert [endpoint.name for endpoint in impact.endpoints] == ["loan-needs"]
    assert impact.sentence == (
        "Without balances.balance, 2 features of 1 feature set cannot be computed. "
        "1 model could not be trained or monitored again, and 1 endpoint would lose inputs."
    )


def test_a_champion_still_needs_what_its_definition_has_dropped(served):
    impact = what_breaks("customers", "grade")
    assert [(item.model.name, item.through) for item in impact.models] == [("loan_needs", ["v1"])]


def test_a_column_that_decides_rows_takes_every_feature_along(served):
    impact = what_breaks("balances", "ym")
    assert all(item.decides_rows for item in impact.sets)
    assert impact.features == 3


def test_a_column_that_nobody_reads_breaks_nothing(served):
    assert what_breaks("balances", "colour").sentence == "Nothing in the catalog reads balances.colour."
    assert what_breaks("balances").features == 3


def test_an_older_version_that_nobody_pins_does_not_count():
    make_balances()
    make_balances()
    assert [item.feature_set.version for item in what_breaks("balances", "balance").sets] == [2]


def test_the_picture_leads_from_tables_to_endpoints(served):
    graph = graph_of(FeatureSet.objects.get(version=1))
    assert [node.label for node in graph.of("table")] == ["balances", "customers"]
    assert [node.label for node in graph.of("feature")] == ["bal_avg_3m", "bal_min_1m", "grade"]
    assert [node.sub for node in graph.of("model")] == ["3 columns · v1"]
    assert [node.label for node in graph.of("endpoint")] == ["loan-needs"]
    ends = {(line.source.label, line.target.label) for line in graph.lines}
    assert {("balances", "cust_balance"), ("grade", "loan_needs"), ("loan_needs", "loan-needs")} <= ends


def test_sixty_features_are_drawn_as_a_few_groups_and_no_box_lies_on_another():
    specs = [FeatureSpec(f"wide_{n:02d}", "numeric") for n in range(60)]
    row = make_feature_set("wide", features=specs)
    make_model("taker", feature_sets=[make_feature_set("narrow", features=specs[:2])])
    model = make_model("other", feature_sets=[row])
    model.definition["features"] = model.definition["features"][:20]
    model.save()
    graph = graph_of(row)
    assert [node.label for node in graph.of("feature")] == ["20 features", "40 features in no model"]
    assert graph.of("feature")[0].title.startswith("wide_00, wide_01")
    places = [(node.x, node.y) for node in graph.nodes.values()]
    assert len(places) == len(set(places))


def test_the_pages_draw_the_picture_and_tell_what_breaks(served, client_as):
    client = client_as("viewer")
    page = client.get("/features/sets/cust_balance/lineage/").content.decode()
    assert page.count('class="lineage-node') == len(graph_of(FeatureSet.objects.get(version=2)).nodes)
    assert "<title id=" in page
    assert "style=" not in page
    page = client.get("/features/breaks/?table=balances&column=balance").content.decode()
    assert "1 endpoint would lose inputs" in page
    assert client.get("/features/breaks/").status_code == 200
    assert client.get("/features/breaks/?table=%00%27&column=%3Cscript%3E").status_code == 200
