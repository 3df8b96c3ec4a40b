"""Frames and reports as artefacts, and what every step of a model run reads from its context."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlopslib.artifacts import Artifact
from mlopslib.definition import FeatureRef, ModelSpec
from mlopslib.errors import ArtifactMissing, DefinitionInvalid
from mlopslib.steps.base import StepContext

#: columns of a data set that no feature may be called
RESERVED = ("base_ym", "part", "target", "score")

Columns = dict[str, npt.NDArray[Any]]


def spec_of(ctx: StepContext) -> ModelSpec:
    if ctx.spec is None:
        raise DefinitionInvalid("this step needs a model's definition", field="definition")
    return ctx.spec


def champion_of(ctx: StepContext) -> tuple[Mapping[str, Any], ModelSpec] | None:
    """The frozen champion of the run and its definition; None for a model's first version."""
    champion = ctx.params.get("champion")
    if not champion:
        return None
    return champion, ModelSpec.from_dict(champion["definition"])


def check_columns(spec: ModelSpec) -> None:
    """Refuse a definition whose inputs and derived variables cannot be told apart."""
    seen = {spec.entity_key, *RESERVED}
    names = [ref.column for ref in spec.features] + [derived.name for derived in spec.derived]
    if not spec.features:
        raise DefinitionInvalid("the definition has no features", field="features")
    for name in names:
        if name in seen:
            raise DefinitionInvalid(
                f"{name!r} is there twice or is a name that the data set needs itself: rename it",
                field=name,
            )
        seen.add(name)


def champion_columns(spec: ModelSpec, champion: ModelSpec) -> dict[str, str]:
    """Input of the champion -> column of the data set.

    A champion may take a column of the same name from another feature set or version, or one whose name
    is that of a derived variable now; that one is kept beside the new one.
    """
    ours = {ref.column: ref for ref in spec.features}
    derived = {item.name for item in spec.derived}
    return {
        ref.column: ref.column
        if ref.column not in derived and ours.get(ref.column, ref) == ref
        else f"champion__{ref.column}"
        for ref in champion.features
    }


def dataset_columns(spec: ModelSpec, champion: ModelSpec | None) -> dict[str, FeatureRef]:
    """Feature columns of the data set, in order, and where each comes from."""
    columns = {ref.column: ref for ref in spec.features}
    if champion is not None:
        names = champion_columns(spec, champion)
        columns |= {names[ref.column]: ref for ref in champion.features}
    return columns


def put_frame(ctx: StepContext, frame: pd.DataFrame, name: str) -> Artifact:
    path = ctx.workdir / f"{name}.parquet"
    frame.to_parquet(path, index=False, compression="zstd")
    return ctx.artifacts.put_file(path, "parquet")


def get_frame(ctx: StepContext, name: str) -> pd.DataFrame:
    return pd.read_parquet(ctx.artifacts.open_path(_input(ctx, name).sha256))


def get_json(ctx: StepContext, name: str) -> dict[str, Any]:
    content: dict[str, Any] = ctx.artifacts.read_json(_input(ctx, name).sha256)
    return content


def get_text(ctx: StepContext, name: str) -> str:
    return ctx.artifacts.read_bytes(_input(ctx, name).sha256).decode()


def _input(ctx: StepContext, name: str) -> Artifact:
    if name not in ctx.inputs:
        raise ArtifactMissing(f"no earlier step of this run made the artefact {name!r}", field=name)
    return ctx.inputs[name]


def input_columns(frame: pd.DataFrame, names: Mapping[str, str], refs: Sequence[FeatureRef]) -> Columns:
    """A model's inputs as scorers take them: floats with NaN, objects with None."""
    return {ref.column: column_of(frame[names[ref.column]], ref.dtype) for ref in refs}


def own_columns(frame: pd.DataFrame, spec: ModelSpec) -> Columns:
    return input_columns(frame, {ref.column: ref.column for ref in spec.features}, spec.features)


def column_of(series: pd.Series[Any], dtype: str) -> npt.NDArray[Any]:
    if dtype == "numeric":
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    values = series.to_numpy(dtype=object).copy()
    values[series.isna().to_numpy()] = None
    return values


def share_of(entities: pd.Series[Any], *, salt: str) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each entity: the same in every month and on every machine."""
    distinct = pd.Series(entities.unique())
    numbers = [
        int.from_bytes(hashlib.blake2b(f"{salt}:{value}".encode(), digest_size=8).digest()) / 2**64
        for value in distinct
    ]
    shares = entities.map(dict(zip(distinct, numbers, strict=True)))
    return shares.to_numpy(dtype=np.float64)
