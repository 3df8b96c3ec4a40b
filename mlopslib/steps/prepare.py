"""Split the training months by entity and compute the derived variables."""

from __future__ import annotations

import numpy as np

from mlopslib.derive import parse_expression
from mlopslib.errors import DataError, SingleClassTarget
from mlopslib.package.build import build_contract
from mlopslib.package.pipeline import known_columns
from mlopslib.steps.base import StepContext, StepResult
from mlopslib.steps.tables import get_frame, own_columns, put_frame, share_of, spec_of


def run(ctx: StepContext) -> StepResult:
    """An entity is in train or in test with all its months, so that no customer is in both.

    Artefacts: ``prepared`` (the data set with part train, test, oot or recent and the derived variables) and
    ``preparation`` (the package's contract: categories and what may be missing, as the training part
    has them).
    """
    spec = spec_of(ctx)
    frame = get_frame(ctx, "dataset")
    ctx.progress(0, 3, "Splitting by entity")
    is_test = share_of(frame[spec.entity_key], salt=f"test:{spec.seed}") < spec.test_share
    frame.loc[(frame["part"] == "train") & is_test, "part"] = "test"
    train = frame[(frame["part"] == "train") & frame["target"].notna()]
    if train["target"].nunique() < 2:
        raise SingleClassTarget("the training part holds one class of the target only", field="target")

    ctx.progress(1, 3, "Reading the categories")
    categories, nullable = {}, {}
    for ref in spec.features:
        values = train[ref.column]
        nullable[ref.column] = bool(values.isna().any())
        if ref.dtype == "category":
            categories[ref.column] = sorted(values.dropna().unique().tolist())
        if values.isna().all():
            raise DataError(f"{ref.column} is missing in every training row", field=ref.column)
    contract = build_contract(spec, categories=categories, nullable=nullable)

    ctx.progress(2, 3, f"Computing {len(spec.derived)} derived variables")
    columns = known_columns(contract, own_columns(frame, spec))
    for derived in spec.derived:
        expression = parse_expression(derived.expression, columns=list(columns))
        frame[derived.name] = expression.to_numpy(columns)
        missing = float(np.isnan(frame[derived.name]).mean())
        ctx.log(f"{derived.name} = {derived.expression}: missing in {missing:.1%} of the rows")
    rows = frame.groupby("part").size().to_dict()
    ctx.progress(3, 3, "")
    return StepResult(
        summary=(
            f"{rows.get('train', 0):,} rows to train on, {rows.get('test', 0):,} of others to test on, "
            f"{len(spec.derived)} derived variables"
        ),
        metrics={"rows": {part: int(count) for part, count in rows.items()}},
        artifacts={
            "prepared": put_frame(ctx, frame, "prepared"),
            "preparation": ctx.artifacts.put_json({"contract": contract}),
        },
    )
