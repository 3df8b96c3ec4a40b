import numpy as np
import pyarrow as pa
import pytest
from lightgbm import LGBMClassifier

from mlopslib.dates import add_months, date_params, month_range
from mlopslib.definition import ModelSpec
from mlopslib.derive import parse_expression
from mlopslib.metrics.psi import psi
from mlopslib.metrics.ranking import auc
from mlopslib.offline.embedded import EmbeddedStore
from mlopslib.oot import plan_months
from mlopslib.sql import parameters_in, render_sql
from portal.demo.definitions import FEATURE_SETS, MODEL
from tests.demo.conftest import LAST_YM

SETS = [item.spec for item in FEATURE_SETS]
CHAMPION, CHALLENGER = add_months(LAST_YM, -10), LAST_YM


@pytest.mark.parametrize("spec", SETS, ids=[spec.name for spec in SETS])
def test_a_feature_query_gives_its_declared_columns_once_for_each_customer(
    bank: EmbeddedStore, spec: object
) -> None:
    answer = bank.read_sql(render_sql(spec.sql, date_params("202401")))
    assert answer.column_names == ["customer_id", *(feature.name for feature in spec.features)]
    assert len(set(answer.column("customer_id").to_pylist())) == answer.num_rows > 1000
    texts = {name for name in answer.column_names if pa.types.is_string(answer.schema.field(name).type)}
    assert texts - {"customer_id"} == {f.name for f in spec.features if f.dtype == "category"}


@pytest.mark.parametrize("spec", SETS, ids=[spec.name for spec in SETS])
def test_a_feature_query_reads_nothing_after_its_base_month(bank: EmbeddedStore, spec: object) -> None:
    """Rows dated after the base month are poisoned; the features must not move."""
    assert not [name for name in parameters_in(spec.sql) if name.startswith("af_")]
    sql = render_sql(spec.sql, date_params("202506"))
    before = bank.read_sql(sql).sort_by("customer_id")
    poisoned = EmbeddedStore(bank.root.parent / f"poisoned_{spec.name}", threads=1)
    for table in bank.list_tables():
        data = bank.read_sql(f"select * from {table}")
        if "ym" in data.column_names:
            late = data.filter(pa.compute.greater(data.column("ym"), "202506"))
            data = pa.concat_tables([data, late, late, late])
        poisoned.create_table(table, data)
    assert poisoned.read_sql(sql).sort_by("customer_id").equals(before)


def test_the_model_has_features_of_every_set_and_derived_variables() -> None:
    assert sum(len(spec.features) for spec in SETS) >= 24
    assert [spec.name for spec in SETS] == ["cust_balance", "cust_txn", "cust_app"]
    assert MODEL.features[0].feature_set == "cust_balance"
    columns = [ref.column for ref in MODEL.features]
    assert len(columns) == len(set(columns)) >= 24
    assert {ref.column for ref in MODEL.features if ref.dtype == "category"} >= {"segment", "region", "job"}
    assert len(MODEL.derived) >= 5
    for derived in MODEL.derived:
        parse_expression(derived.expression, columns=columns)
    assert ModelSpec.from_dict(MODEL.to_dict()) == MODEL


def test_champion_and_challenger_fit_into_the_months_of_the_bank() -> None:
    first_base_ym = add_months(LAST_YM, -21)
    champion, challenger = plan_months(CHAMPION, MODEL.windows), plan_months(CHALLENGER, MODEL.windows)
    assert champion.train == tuple(month_range(add_months(LAST_YM, -20), add_months(LAST_YM, -17)))
    assert champion.train[0] >= first_base_ym
    assert challenger.train == tuple(month_range(add_months(LAST_YM, -10), add_months(LAST_YM, -7)))
    assert challenger.oot == tuple(month_range(add_months(LAST_YM, -4), add_months(LAST_YM, -2)))


Frame = dict[str, np.ndarray]


def month_frame(store: EmbeddedStore, ym: str) -> Frame:
    """Inputs, derived variables and target of one base month, as numbers; the population is the first set."""
    dates = date_params(ym)
    tables = [store.read_sql(render_sql(spec.sql, dates)) for spec in SETS]
    tables.append(store.read_sql(render_sql(MODEL.target_sql, dates)))
    whole = tables[0]
    for table in tables[1:]:
        whole = whole.join(table, "customer_id", join_type="left outer")
    frame: Frame = {}
    for ref in MODEL.features:
        column = whole.column(ref.column)
        if ref.dtype == "category":
            words = pa.compute.fill_null(column, "").combine_chunks().dictionary_encode()
            numbers = np.array([float(sum(word.encode())) for word in words.dictionary.to_pylist()])
            frame[ref.column] = numbers[words.indices.to_numpy()]
        else:
            frame[ref.column] = pa.compute.fill_null(column.cast("double"), np.nan).to_numpy()
    for derived in MODEL.derived:
        frame[derived.name] = parse_expression(derived.expression).to_numpy(frame)
    frame["target"] = whole.column("target").to_numpy().astype(float)
    return frame


def test_the_champion_decays_and_the_challenger_is_not_always_better(bank: EmbeddedStore) -> None:
    frames: dict[str, Frame] = {}

    def frame(ym: str) -> Frame:
        if ym not in frames:
            frames[ym] = month_frame(bank, ym)
        return frames[ym]

    names = [ref.column for ref in MODEL.features] + [derived.name for derived in MODEL.derived]

    def inputs(ym: str) -> np.ndarray:
        return np.column_stack([frame(ym)[name] for name in names])

    def train(months: tuple[str, ...]) -> LGBMClassifier:
        target = np.concatenate([frame(ym)["target"] for ym in months])
        model = LGBMClassifier(**MODEL.params, random_state=1, n_jobs=1, verbose=-1)
        return model.fit(np.concatenate([inputs(ym) for ym in months]), target)

    def mean_auc(model: LGBMClassifier, months: tuple[str, ...]) -> float:
        return float(
            np.mean([auc(frame(ym)["target"], model.predict_proba(inputs(ym))[:, 1]) for ym in months])
        )

    before, after = plan_months(CHAMPION, MODEL.windows), plan_months(CHALLENGER, MODEL.windows)
    rates = [frame(ym)["target"].mean() for ym in (*before.train, *before.oot)]
    assert 0.035 < float(np.mean(rates)) < 0.06
    champion, challenger = train(before.train), train(after.train)
    campaign, later = after.oot[:1], after.oot[1:]
    assert 0.70 < mean_auc(champion, before.oot) < 0.86
    assert mean_auc(champion, later) < mean_auc(champion, before.oot) - 0.08
    assert mean_auc(challenger, later) > mean_auc(champion, later) + 0.05
    assert mean_auc(challenger, campaign) < mean_auc(champion, campaign) + 0.02

    train_scores = np.concatenate([champion.predict_proba(inputs(ym))[:, 1] for ym in before.train])
    assert psi(train_scores, champion.predict_proba(inputs(before.oot[-1]))[:, 1]) < 0.1
    assert psi(train_scores, champion.predict_proba(inputs(LAST_YM))[:, 1]) > 0.1
    visits = np.concatenate([frame(ym)["app_visits_3m"] for ym in before.train])
    assert psi(visits, frame(LAST_YM)["app_visits_3m"]) > 0.25
