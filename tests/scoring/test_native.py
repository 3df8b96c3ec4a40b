from concurrent.futures import ThreadPoolExecutor

import lightgbm as lgb
import numpy as np
import pytest

from mlopslib.errors import PackageDamaged, PackageError, RequestInvalid
from mlopslib.package.pipeline import model_frame
from mlopslib.scoring import NativeScorer, load_scorer
from mlopslib.scoring.lightgbm_c import Booster
from tests.small_model import make_columns, make_rows, small_model


@pytest.fixture(scope="module")
def scorer():
    return load_scorer(small_model().package)


def test_scores_are_those_of_lightgbms_own_package(scorer):
    columns = make_columns(500, seed=21)
    booster = lgb.Booster(model_str=small_model().package.booster_text)
    expected = booster.predict(model_frame(scorer.contract, columns))
    assert np.array_equal(scorer.score_columns(columns), expected)


def test_one_row_and_many_rows_give_the_same_bits(scorer):
    rows = make_rows(100)
    together = scorer.score(rows)
    assert together.dtype == np.float64 and together.shape == (100,)
    assert [scorer.score([row])[0] for row in rows] == together.tolist()
    assert scorer.score(rows[:5]).tolist() == together[:5].tolist()


def test_no_rows_give_no_scores(scorer):
    assert scorer.score([]).shape == (0,)


def test_unseen_category_scores_as_missing(scorer):
    row = make_rows(1)[0]
    unseen, missing = {**row, "kind": "Z"}, {**row, "kind": None}
    assert scorer.score([unseen])[0] == scorer.score([missing])[0]
    many = scorer.score([unseen] * 10 + [missing] * 10)
    assert set(many.tolist()) == {scorer.score([missing])[0]}


def test_none_and_nan_are_both_missing(scorer):
    row = make_rows(1)[0]
    assert scorer.score([{**row, "amt": None}])[0] == scorer.score([{**row, "amt": float("nan")}])[0]


def test_fields_beside_the_inputs_do_no_harm(scorer):
    row = make_rows(1)[0]
    assert scorer.score([{**row, "affiNo": "1"}])[0] == scorer.score([row])[0]


@pytest.mark.parametrize("count", [1, 20])
def test_a_missing_or_mistyped_field_names_its_row(scorer, count):
    rows = make_rows(count)
    del rows[-1]["cnt"]
    with pytest.raises(RequestInvalid) as caught:
        scorer.score(rows)
    assert caught.value.field == f"requests[{count - 1}].cnt"
    with pytest.raises(RequestInvalid):
        scorer.score([{**make_rows(1)[0], "amt": "many"}])


def test_threads_share_a_scorer(scorer):
    rows = make_rows(40)
    expected = scorer.score(rows).tolist()

    def one_by_one(_):
        return [scorer.score([row])[0] for row in rows] + scorer.score(rows).tolist()

    with ThreadPoolExecutor(8) as pool:
        assert all(found == expected * 2 for found in pool.map(one_by_one, range(40)))


def test_a_scorer_can_be_dropped_while_a_thread_still_has_its_buffers():
    package, rows = small_model().package, make_rows(3)
    with ThreadPoolExecutor(1) as pool:
        for _ in range(20):
            own = load_scorer(package)
            pool.submit(own.score, rows[:1]).result()
            del own


def test_text_that_is_no_model_is_damage():
    with pytest.raises(PackageDamaged, match=r"model\.txt does not load"):
        Booster("this is not a model")


def test_a_matrix_of_another_width_is_refused():
    booster = Booster(small_model().package.booster_text)
    with pytest.raises(PackageError, match="columns"):
        booster.predict(np.zeros((2, booster.n_features + 1)))


def test_a_contract_that_does_not_fit_the_trees_is_damage():
    package = small_model().package
    columns = package.contract["model_columns"]
    with pytest.raises(PackageDamaged, match="columns"):
        NativeScorer({**package.contract, "model_columns": columns[:-1]}, package.booster_text)
    renamed = [{**columns[0], "name": "other"}, *columns[1:]]
    with pytest.raises(PackageDamaged, match="nothing gives the column other"):
        NativeScorer({**package.contract, "model_columns": renamed}, package.booster_text)
