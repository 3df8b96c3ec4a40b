"""What a feature set and a model are, as plain values that travel through JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from mlopslib.errors import DefinitionInvalid

#: names of tables, columns, features, feature sets and models
IDENTIFIER = re.compile(r"^[a-z][a-z0-9_]{0,62}$")

Dtype = Literal["numeric", "category"]


def check_identifier(name: str, *, field: str = "name") -> str:
    if not IDENTIFIER.fullmatch(name):
        raise DefinitionInvalid(
            f"{name!r} is not a name: use a lower-case letter, then letters, digits or _ (63 at most)",
            field=field,
        )
    return name


@dataclass(frozen=True)
class FeatureSpec:
    """One column of a feature set."""

    name: str
    dtype: Dtype
    description: str = ""


@dataclass(frozen=True)
class FeatureSetSpec:
    """A query that gives one row for each entity and base month."""

    name: str
    version: int
    entity_key: str
    sql: str
    features: tuple[FeatureSpec, ...] = ()

    @property
    def table(self) -> str:
        """The offline table that holds its materialised months, partitioned by `base_ym`."""
        return f"fs_{self.name}_v{self.version}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FeatureSetSpec:
        features = tuple(FeatureSpec(**item) for item in data.get("features", ()))
        return cls(
            name=data["name"],
            version=int(data["version"]),
            entity_key=data["entity_key"],
            sql=data["sql"],
            features=features,
        )


@dataclass(frozen=True)
class FeatureRef:
    """A column of a pinned feature-set version that a model takes as input."""

    feature_set: str
    version: int
    column: str
    dtype: Dtype


@dataclass(frozen=True)
class Derived:
    """A derived variable: a numeric expression over input columns (`mlopslib.derive`)."""

    name: str
    expression: str


@dataclass(frozen=True)
class Windows:
    """Months, counted back from the base month of the run (`mlopslib.oot`).

    `performance_months` is W: the target of base month b looks at b+1 .. b+W.
    `data_lag_months` is L: how long after the end of b+W the labels are complete.
    `embargo_months`: months strictly between the last training month and the first OOT month;
    None means W, the least that keeps training labels out of the OOT months.
    """

    performance_months: int = 1
    data_lag_months: int = 0
    train_months: int = 4
    oot_months: int = 3
    embargo_months: int | None = None


@dataclass(frozen=True)
class Gates:
    """Limits that a version must keep; None switches a gate off."""

    max_score_psi: float | None = 0.25
    max_feature_psi: float | None = 0.25
    min_oot_auc: float | None = 0.6
    min_lift_at_10: float | None = 1.5
    max_auc_drop: float | None = 0.01
    min_rows: int = 500
    min_positives: int = 50


@dataclass(frozen=True)
class ModelSpec:
    """The definition of a model; every version freezes the one that it was trained with.

    The first feature set among `features` gives the population: one row for each of its entities.
    `target_sql` returns the entity key and a column named `target` (0 or 1); an entity that it
    leaves out has no target: it is scored and counted, not measured.
    """

    name: str
    entity_key: str
    target_sql: str
    features: tuple[FeatureRef, ...]
    derived: tuple[Derived, ...] = ()
    algorithm: str = "lightgbm_binary"
    params: Mapping[str, Any] = field(default_factory=dict)
    windows: Windows = Windows()
    gates: Gates = Gates()
    test_share: float = 0.2
    seed: int = 20261122
    #: fixed before anybody looks: the largest loss of AUC that still counts as "not worse"
    margin_auc: float = 0.005

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelSpec:
        values = dict(data)
        values["features"] = tuple(FeatureRef(**item) for item in data["features"])
        values["derived"] = tuple(Derived(**item) for item in data.get("derived", ()))
        values["windows"] = Windows(**data.get("windows", {}))
        values["gates"] = Gates(**data.get("gates", {}))
        return cls(**values)
