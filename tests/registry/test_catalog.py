"""Definitions, versions, figures, comparisons, promotion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from apps.models.models import Comparison, Evaluation, FeatureDrift, ModelVersion
from apps.models.services import (
    define_model,
    promote,
    record_comparison,
    record_evaluations,
    record_feature_psi,
    register_version,
)
from mlopslib.definition import Derived, FeatureRef, ModelSpec, Windows
from mlopslib.errors import (
    AccessDenied,
    Conflict,
    InvalidInput,
    UnknownParameter,
)
from portal.models import AuditEvent, User
from tests.factories import (
    comparison_report,
    make_comparison,
    make_feature_set,
    make_model,
    make_review,
    make_spec,
    make_user,
    make_version,
    sha256,
)

pytestmark = pytest.mark.django_db


def spec() -> ModelSpec:
    return make_spec(feature_sets=[make_feature_set("cust_balance"), make_feature_set("cust_txn")])


def define(definition: ModelSpec, actor: User | None = None, **words: str) -> Any:
    values = {"title": "Loan needs", "description": "", "entity": "customer"} | words
    return define_model(actor=actor or make_user("data_scientist"), spec=definition, **values)


def test_define_keeps_the_definition_whole() -> None:
    definition = spec()
    model = define(definition)
    model.refresh_from_db()
    assert model.spec == definition
    assert {row.name for row in model.feature_sets.all()} == {"cust_balance", "cust_txn"}
    assert AuditEvent.objects.get(action="model.defined").object_label == "loan_needs"


def test_owner_defines_again_and_versions_keep_theirs() -> None:
    owner, definition = make_user("data_scientist"), spec()
    model = define(definition, owner)
    version = register_version(
        registered_model=model,
        author=owner,
        base_ym="202606",
        package_sha256=sha256("p"),
        definition=model.definition,
        card={},
    )
    define(replace(definition, seed=7), owner)
    version.refresh_from_db()
    model.refresh_from_db()
    assert (model.spec.seed, version.spec.seed) == (7, definition.seed)


def test_somebody_else_does_not_define_it_again() -> None:
    definition = spec()
    define(definition)
    with pytest.raises(AccessDenied, match="belongs to"):
        define(definition)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"name": "Loan-Needs"}, "name", "not a name"),
        ({"features": ()}, "features", "one feature"),
        ({"algorithm": "magic"}, "algorithm", "lightgbm_binary"),
        ({"entity_key": "account_id"}, "entity_key", "cust_balance v1 has the key customer_id"),
        ({"test_share": 1.0}, "test_share", "between 0 and 1"),
        ({"margin_auc": -0.1}, "margin_auc", "0 or more"),
        ({"windows": Windows(train_months=0)}, "windows", "one month"),
        ({"windows": Windows(performance_months=0)}, "windows", "one month"),
        ({"windows": Windows(performance_months=2, embargo_months=1)}, "windows", "into the OOT months"),
        ({"derived": (Derived("Bad Name", "1"),)}, "derived", "not a name"),
        ({"derived": (Derived("bal_avg_3m", "1"),)}, "features", "more than one input"),
        ({"derived": (Derived("x", "bal_avg_3m / no_such"),)}, "derived", "no_such"),
        ({"derived": (Derived("x", "__import__('os')"),)}, "derived", "x:"),
        ({"target_sql": "DELETE FROM loan_contracts"}, None, "SELECT"),
    ],
)
def test_a_definition_that_cannot_work_names_its_fault(
    change: dict[str, Any], field: str | None, words: str
) -> None:
    with pytest.raises(InvalidInput) as error:
        define(replace(spec(), **change))
    assert words in error.value.message
    if field:
        assert error.value.field == field


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        (FeatureRef("nowhere", 1, "x", "numeric"), "no feature set nowhere v1"),
        (FeatureRef("cust_balance", 9, "bal_avg_3m", "numeric"), "no feature set cust_balance v9"),
        (FeatureRef("cust_balance", 1, "no_such", "numeric"), "has no feature no_such"),
        (FeatureRef("cust_balance", 1, "grade", "numeric"), "grade is category"),
    ],
)
def test_a_pinned_column_must_be_there(ref: FeatureRef, words: str) -> None:
    make_feature_set("cust_balance")
    with pytest.raises(InvalidInput, match=words) as error:
        define(ModelSpec(name="m", entity_key="customer_id", target_sql="SELECT 1", features=(ref,)))
    assert error.value.field == "features"


def test_unknown_parameter_in_the_target_is_named() -> None:
    with pytest.raises(UnknownParameter, match="af_1mm_ym"):
        define(replace(spec(), target_sql="SELECT customer_id, 1 AS target FROM t WHERE ym = '{af_1mm_ym}'"))


def test_numbers_rise_and_hashes_are_hashes() -> None:
    model = make_model()
    author = make_user("data_scientist")
    values: dict[str, Any] = {
        "registered_model": model,
        "author": author,
        "base_ym": "202606",
        "definition": model.definition,
        "card": {},
    }
    first = register_version(package_sha256=sha256(1), **values)
    second = register_version(package_sha256=sha256(2), **values)
    assert [first.number, second.number, second.stage] == [1, 2, "CANDIDATE"]
    with pytest.raises(InvalidInput, match="64 hexadecimal"):
        register_version(package_sha256="../../etc/passwd", **values)


def test_figures_measured_again_replace_the_earlier_ones() -> None:
    version = make_version(figures=False)
    row = {"dataset": "OOT", "base_ym": "202603", "rows": 100, "positives": 4, "auc": 0.7}
    record_evaluations(version=version, evaluations=[row, {"dataset": "OOT", "rows": 300}])
    record_evaluations(version=version, evaluations=[{**row, "auc": 0.8, "details": {"deciles": []}}])
    found = {row.base_ym: row.auc for row in Evaluation.objects.filter(version=version)}
    assert found == {"202603": 0.8, "": None}


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"dataset": "TODAY", "rows": 1}, "dataset"),
        ({"dataset": "OOT", "base_ym": "202613", "rows": 1}, "base_ym"),
        ({"dataset": "OOT", "rows": 1, "auc": float("nan")}, "auc"),
    ],
)
def test_a_figure_that_is_none_is_refused(row: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        record_evaluations(version=make_version(figures=False), evaluations=[row])
    assert error.value.field == field
    assert not Evaluation.objects.exists()


def test_feature_psi_by_month() -> None:
    version = make_version(figures=False)
    rows = [
        {"base_ym": "202603", "feature": "grade", "psi": 0.2},
        {"base_ym": "202603", "feature": "x", "psi": None},
    ]
    record_feature_psi(version=version, rows=rows)
    record_feature_psi(version=version, rows=[{**rows[0], "psi": 0.3}])
    assert list(FeatureDrift.objects.values_list("feature", "psi")) == [("grade", 0.3)]


def test_comparison_is_kept_with_its_report() -> None:
    champion = make_version(stage="champion")
    challenger = make_version(champion.registered_model)
    report = comparison_report(verdict="NOT_WORSE")
    row = record_comparison(
        registered_model=champion.registered_model,
        champion=champion,
        challenger=challenger,
        base_ym="202606",
        report=report,
        report_sha256=sha256("r"),
    )
    assert Comparison.objects.get(pk=row.pk).report["verdict"] == row.verdict == "NOT_WORSE"


@pytest.mark.parametrize("fault", ["verdict", "itself", "model"])
def test_a_comparison_that_makes_no_sense_is_refused(fault: str) -> None:
    champion = make_version(stage="champion")
    other = make_version(make_model("other")) if fault == "model" else champion
    challenger = make_version(champion.registered_model) if fault == "verdict" else other
    report = comparison_report()
    if fault == "verdict":
        report["verdict"] = "SPLENDID"
    with pytest.raises(InvalidInput):
        record_comparison(
            registered_model=champion.registered_model,
            champion=champion,
            challenger=challenger,
            base_ym="202606",
            report=report,
            report_sha256=sha256("r"),
        )


# promotion --------------------------------------------------------------------------------------


@pytest.mark.database
def test_promotion_archives_the_champion_before() -> None:
    before = make_version(stage="champion")
    challenger = make_version(before.registered_model)
    make_review(challenger, status="APPROVED")

    promote(version=challenger)
    promote(version=challenger)

    before.refresh_from_db()
    challenger.refresh_from_db()
    assert (before.stage, challenger.stage) == ("ARCHIVED", "CHAMPION")
    assert before.archived_at is not None
    assert challenger.promoted_at is not None
    assert AuditEvent.objects.filter(action="version.promoted").count() == 1


def test_a_version_comes_back_from_the_archive() -> None:
    old = make_version(stage="archived")
    make_version(old.registered_model, stage="champion")
    back = promote(version=old)
    assert (back.stage, back.archived_at) == ("CHAMPION", None)


@pytest.mark.parametrize("status", [None, "PENDING", "REJECTED", "WITHDRAWN"])
def test_nothing_unapproved_is_promoted(status: str | None) -> None:
    version = make_version()
    if status:
        make_review(version, status=status)
    with pytest.raises(Conflict, match="not approved"):
        promote(version=version)


def test_an_approval_of_another_package_promotes_nothing() -> None:
    review = make_review(status="APPROVED")
    ModelVersion.objects.filter(pk=review.version_id).update(package_sha256=sha256("another"))
    with pytest.raises(Conflict):
        promote(version=review.version)


@pytest.mark.database
def test_database_holds_one_champion() -> None:
    champion = make_version(stage="champion")
    other = make_version(champion.registered_model)
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelVersion.objects.filter(pk=other.pk).update(stage="CHAMPION")


def test_querysets_chain() -> None:
    comparison = make_comparison()
    approved = ModelVersion.objects.for_model("loan_needs").approved()
    assert list(ModelVersion.objects.for_model("loan_needs").champions()) == [comparison.champion]
    assert list(approved) == [comparison.champion]
