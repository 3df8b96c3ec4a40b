"""Real steps that meet bad data: the run ends FAILED, the page and REST say why, nothing is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from django.conf import settings
from django.test import Client
from rest_framework.test import APIClient

from apps.features.models import FeatureSet
from apps.features.services import create_feature_set
from apps.models.models import ModelVersion
from apps.models.services import define_model
from apps.pipelines.models import Artifact, PipelineRun
from apps.pipelines.services import define_pipeline
from mlopslib.definition import FeatureRef, ModelSpec, Windows
from mlopslib.offline import OfflineStore, open_store
from portal.models import User
from tests.factories import make_user
from tests.pipelines.conftest import drive

FEATURES = "SELECT customer_id, amt FROM facts WHERE ym = '{base_ym}'"
TARGET = (
    "SELECT customer_id, CASE WHEN amt > 3 THEN 1 ELSE 0 END AS target FROM facts "
    "WHERE ym = '{base_ym}' AND ym < '{af_1m_ym}'"
)
MONTHS = ("202601", "202602", "202603", "202604")


@pytest.fixture
def bank(toys: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> OfflineStore:
    """Six customers in four months; the processes of steps run what a worker would run."""
    settings.OFFLINE_URL = f"delta://{toys / 'offline'}"
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.settings")
    store = open_store(settings.OFFLINE_URL)
    rows = [(f"C{n}", ym, float(n)) for ym in MONTHS for n in range(6)]
    names = ("customer_id", "ym", "amt")
    store.create_table("facts", pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))))
    return store


def publish(author: User, store: OfflineStore) -> FeatureSet:
    return create_feature_set(
        actor=author,
        store=store,
        name="amounts",
        title="Amounts",
        entity="customer",
        entity_key="customer_id",
        sql=FEATURES,
    )


def define(author: User, *, target_sql: str) -> str:
    """A model with one training, one embargo and one OOT month, and its pipeline's name."""
    spec = ModelSpec(
        name="small",
        entity_key="customer_id",
        target_sql=target_sql,
        features=(FeatureRef("amounts", 1, "amt", "numeric"),),
        windows=Windows(performance_months=1, train_months=1, oot_months=1),
    )
    model = define_model(actor=author, spec=spec, title="Small", description="", entity="customer")
    return define_pipeline(
        actor=author, name="small training", template="training", registered_model=model
    ).name


def assert_failed(
    api: APIClient,
    client: Client,
    pipeline: str,
    base_ym: str,
    *,
    step: str,
    code: str,
    field: str,
    words: str,
) -> PipelineRun:
    """Start by REST, let the workers work, and read the reason by REST and on the page."""
    answer = api.post("/api/runs/", {"pipeline": pipeline, "base_ym": base_ym})
    assert answer.status_code == 201, answer.content
    run = drive(PipelineRun.objects.get(pk=answer.json()["id"]), seconds=60)
    assert run.status == "FAILED"
    shown = api.get(f"/api/runs/{run.pk}/").json()
    assert (shown["status"], shown["error"]) == ("FAILED", run.error)
    assert (run.error["step"], run.error["code"], run.error["field"]) == (step, code, field)
    assert words in run.error["message"]
    page = client.get(f"/runs/{run.pk}/").content.decode()
    assert words in page.replace("&#x27;", "'")
    assert not Artifact.objects.exists()
    assert not ModelVersion.objects.exists()
    # a month that was made stays made and is on record; one that was not is not
    store = open_store(settings.OFFLINE_URL)
    for feature_set in FeatureSet.objects.all():
        recorded = list(feature_set.materialisations.values_list("base_ym", flat=True))
        assert recorded == store.partitions(feature_set.to_spec().table, "base_ym")
    return run


As = Callable[..., Any]


@pytest.mark.parametrize(
    ("spoil", "base_ym", "code", "field", "words"),
    [
        ("nothing", "202512", "empty-month", "base_ym", "amounts has no row for 202512"),
        ("table", "202601", "table-not-found", "sql", "no table is called 'facts'"),
        ("DELETE FROM facts", "202601", "sql-rejected", "sql", "one SELECT, this is DELETE"),
        (FEATURES + "; " + FEATURES, "202601", "sql-rejected", "sql", "not 2 statements"),
        (
            FEATURES.replace("base_ym", "base_yn"),
            "202601",
            "unknown-parameter",
            "sql",
            "parameter is called {base_yn}",
        ),
    ],
)
def test_a_feature_set_that_cannot_be_made(
    bank: OfflineStore,
    api_as: As,
    client_as: As,
    spoil: str,
    base_ym: str,
    code: str,
    field: str,
    words: str,
) -> None:
    author = make_user("data_scientist")
    feature_set = publish(author, bank)
    pipeline = define_pipeline(
        actor=author, name="amounts", template="materialise", feature_set=feature_set
    ).name
    if spoil == "table":
        bank.drop_table("facts")
    elif spoil != "nothing":
        # past the catalog: the run looks at the text itself
        FeatureSet.objects.filter(pk=feature_set.pk).update(sql=spoil)
    before = bank.read_sql("SELECT COUNT(*) AS n FROM facts") if spoil != "table" else None
    assert_failed(
        api_as(author),
        client_as(author),
        pipeline,
        base_ym,
        step="materialise",
        code=code,
        field=field,
        words=words,
    )
    assert not bank.table_exists(feature_set.to_spec().table)
    if before is not None:
        assert bank.read_sql("SELECT COUNT(*) AS n FROM facts") == before


@pytest.mark.parametrize(
    ("target_sql", "base_ym", "code", "field", "words"),
    [
        (TARGET.replace("amt > 3", "amt > 99"), "202604", "single-class-target", "target", "0 in all of 6"),
        (
            TARGET.replace("FROM facts", "FROM fact"),
            "202604",
            "table-not-found",
            "sql",
            "no table is called 'fact'",
        ),
        (
            TARGET.replace("{base_ym}", "{bf_36m_ym}"),
            "202604",
            "empty-month",
            "target_sql",
            "no row for 202601",
        ),
        (TARGET, "202603", "empty-month", "base_ym", "amounts has no row for 202512"),
    ],
)
def test_a_model_that_cannot_be_trained(
    bank: OfflineStore,
    api_as: As,
    client_as: As,
    target_sql: str,
    base_ym: str,
    code: str,
    field: str,
    words: str,
) -> None:
    author = make_user("data_scientist")
    publish(author, bank)
    pipeline = define(author, target_sql=target_sql)
    run = assert_failed(
        api_as(author),
        client_as(author),
        pipeline,
        base_ym,
        step="extract",
        code=code,
        field=field,
        words=words,
    )
    assert set(run.steps.exclude(name="extract").values_list("state", flat=True)) == {"PENDING"}
