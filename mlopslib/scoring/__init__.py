"""Ways to turn raw input rows into scores, behind one protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mlopslib.scoring.contract import RequestContract
from mlopslib.scoring.native import NativeScorer
from mlopslib.scoring.pmml import PmmlScorer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mlopslib.package.read import ModelPackage

__all__ = ["NativeScorer", "PmmlScorer", "RequestContract", "Scorer", "load_scorer"]


class Scorer(Protocol):
    """Scores rows of raw inputs; `contract` is the ``contract.json`` that the rows follow."""

    contract: dict[str, Any]

    def score(self, rows: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float64]: ...


def load_scorer(package: ModelPackage) -> NativeScorer:
    """The serving scorer of a package that was read (and so checked) from the store."""
    return NativeScorer(package.contract, package.booster_text)
