"""Building a model package: PMML, booster, contract, golden rows and frozen references, proved equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlopslib.artifacts import Artifact, ArtifactStore, canonical_json
from mlopslib.definition import ModelSpec
from mlopslib.metrics.psi import PsiReference
from mlopslib.package.golden import forbidden_missing_rows, golden_rows
from mlopslib.package.pipeline import FittedPipeline
from mlopslib.package.read import FILES, FORMAT, read_package
from mlopslib.package.verify import TOLERANCE, ParityReport, verify_package

Columns = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class PackageSource:
    """What a package is built from.

    Parameters
    ----------
    booster_text
        LightGBM's model text; its columns are those of `contract`.
    contract
        See `build_contract`.
    sample
        Real rows by input column (floats with NaN, objects with None); golden rows are drawn from them.
    reference
        See `build_reference`.
    """

    spec: ModelSpec
    base_ym: str
    booster_text: str
    contract: Mapping[str, Any]
    sample: Columns
    reference: Mapping[str, Any]
    train_months: Sequence[str]
    oot_months: Sequence[str]


def build_contract(
    spec: ModelSpec, *, categories: Mapping[str, Sequence[str]], nullable: Mapping[str, bool]
) -> dict[str, Any]:
    """``contract.json``: what a request holds and what the booster sees, in its order.

    The booster's columns are the numbers, then the derived variables, then the categories. `nullable`
    says for each input whether training saw it missing; a request may not hold null where it did not.
    """
    numbers = [item.column for item in spec.features if item.dtype == "numeric"]
    texts = [item.column for item in spec.features if item.dtype == "category"]
    inputs = [
        {
            "name": item.column,
            "type": "number" if item.dtype == "numeric" else "category",
            "nullable": bool(nullable[item.column]),
            "categories": None if item.dtype == "numeric" else list(categories[item.column]),
        }
        for item in spec.features
    ]
    plain = [*numbers, *(item.name for item in spec.derived)]
    columns: list[dict[str, Any]] = [{"name": name, "type": "number", "categories": None} for name in plain]
    columns += [{"name": name, "type": "category", "categories": list(categories[name])} for name in texts]
    return {
        "inputs": inputs,
        "derived": [{"name": item.name, "expression": item.expression} for item in spec.derived],
        "model_columns": columns,
        "objective": "binary",
        "target": "target",
    }


def build_reference(
    contract: Mapping[str, Any], inputs: Columns, scores: npt.NDArray[np.float64]
) -> dict[str, Any]:
    """``reference.json``: edges and counts of the score and of each input, frozen with the version.

    `inputs` are the development rows; `scores` those of the held-out part of them, because a model's
    scores on rows that it was fitted to are spread wider than on any others.
    """
    references = {}
    for item in contract["inputs"]:
        name = item["name"]
        fit = PsiReference.fit_numeric if item["type"] == "number" else PsiReference.fit_category
        references[name] = fit(inputs[name]).to_dict()
    return {"score": PsiReference.fit_numeric(scores).to_dict(), "inputs": references}


def build_package(
    artifacts: ArtifactStore,
    source: PackageSource,
    *,
    workdir: Path,
    on_progress: Callable[[float, str], None] = lambda share, text: None,
) -> tuple[Artifact, ParityReport]:
    """Write a package into the store and prove it.

    Returns the manifest (its hash is the version's identity) and the proof.

    Raises
    ------
    ParityFailed
        The pipeline, the serving scorer and the PMML do not agree on a row.
    PackageError
        The pipeline does not convert to PMML.
    """
    contract, spec = source.contract, source.spec
    on_progress(0.0, "Assembling the pipeline")
    pipeline = FittedPipeline(contract, source.booster_text)
    labelled = golden_rows(contract, source.sample, source.booster_text, seed=spec.seed)
    rows = [row for _, row in labelled]
    on_progress(0.1, f"Scoring {len(rows)} golden rows")
    golden = {
        "tolerance": TOLERANCE,
        "labels": [label for label, _ in labelled],
        "rows": rows,
        "scores": pipeline.score(rows).tolist(),
    }
    on_progress(0.3, "Writing the PMML")
    files = {
        "model.pmml": pipeline.to_pmml(workdir),
        "model.txt": source.booster_text.encode(),
        "contract.json": canonical_json(contract),
        "golden.json": canonical_json(golden),
        "reference.json": canonical_json(source.reference),
    }
    stored = {name: artifacts.put_bytes(data, FILES[name]) for name, data in files.items()}
    manifest = artifacts.put_json(
        {
            "format": FORMAT,
            "model": spec.name,
            "algorithm": spec.algorithm,
            "base_ym": source.base_ym,
            "files": {name: artifact.to_dict() for name, artifact in stored.items()},
            "train_months": list(source.train_months),
            "oot_months": list(source.oot_months),
        }
    )
    on_progress(0.6, "Proving that pipeline, serving scorer and PMML agree")
    # beyond the contract, yet batch scoring may meet them
    extra = forbidden_missing_rows(contract, source.sample, seed=spec.seed)
    extra_scores = pipeline.score([row for _, row in extra]).tolist() if extra else []
    package = read_package(artifacts, manifest.sha256)
    report = verify_package(package, extra_rows=extra, extra_scores=extra_scores)
    on_progress(1.0, report.sentence)
    return manifest, report
