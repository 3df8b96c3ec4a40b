"""A small bank in a real offline store, and a runner for whole templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from mlopslib.artifacts import Artifact, ArtifactStore, canonical_json
from mlopslib.dates import add_months, date_params, month_range
from mlopslib.definition import Derived, FeatureRef, FeatureSetSpec, FeatureSpec, Gates, ModelSpec, Windows
from mlopslib.offline import open_store
from mlopslib.steps import TEMPLATES, get_step
from mlopslib.steps.base import StepContext, StepResult

CUSTOMERS = 700
FIRST, LAST = "202501", "202512"

BALANCE = FeatureSetSpec(
    name="balance",
    version=1,
    entity_key="customer_id",
    sql="SELECT customer_id, amt, cnt, segment FROM facts WHERE ym = '{base_ym}'",
    features=(
        FeatureSpec("amt", "numeric"),
        FeatureSpec("cnt", "numeric"),
        FeatureSpec("segment", "category"),
    ),
)
#: the same column measured otherwise, and a text that is an identifier
BALANCE_2 = FeatureSetSpec(
    name="balance",
    version=2,
    entity_key="customer_id",
    sql="SELECT customer_id, amt * 2 AS amt, CONCAT(customer_id, ym) AS code FROM facts "
    "WHERE ym = '{base_ym}'",
    features=(FeatureSpec("amt", "numeric"), FeatureSpec("code", "category")),
)
VISITS = FeatureSetSpec(
    name="visits",
    version=1,
    entity_key="customer_id",
    sql="SELECT customer_id, SUM(n) AS visits_3m FROM visits WHERE ym BETWEEN '{bf_2m_ym}' AND '{base_ym}' "
    "GROUP BY customer_id",
    features=(FeatureSpec("visits_3m", "numeric"),),
)
SPEC = ModelSpec(
    name="loans",
    entity_key="customer_id",
    target_sql="SELECT f.customer_id, MAX(CASE WHEN l.customer_id IS NULL THEN 0 ELSE 1 END) AS target "
    "FROM facts f LEFT JOIN loans l ON l.customer_id = f.customer_id AND l.ym = '{af_1m_ym}' "
    "WHERE f.ym = '{base_ym}' GROUP BY f.customer_id",
    features=(
        FeatureRef("balance", 1, "amt", "numeric"),
        FeatureRef("balance", 1, "segment", "category"),
        FeatureRef("balance", 1, "cnt", "numeric"),
        FeatureRef("visits", 1, "visits_3m", "numeric"),
    ),
    derived=(Derived("amt_per_cnt", "amt / cnt"),),
    params={"n_estimators": 25, "num_leaves": 7, "min_child_samples": 10},
    windows=Windows(performance_months=1, train_months=3, oot_months=2),
    gates=Gates(min_oot_auc=0.55, min_lift_at_10=1.1, min_rows=100, min_positives=10),
)


def fill_store(url: str) -> None:
    """Facts, visits and loans of every month; what drives loans changes in 202509."""
    random = np.random.default_rng(3)
    store = open_store(url)
    facts, visits, loans = [], [], []
    ids = np.array([f"C{i:05d}" for i in range(CUSTOMERS)])
    for number, ym in enumerate(month_range(FIRST, LAST)):
        amt = np.round(np.exp(random.normal(3, 1, CUSTOMERS)) * (1 + 0.01 * number), 1)
        cnt = random.poisson(1.5, CUSTOMERS).astype(float)
        segment = random.choice(["MASS", "VIP", "YOUNG"], CUSTOMERS, p=[0.6, 0.1, 0.3])
        visited = random.random(CUSTOMERS) < 0.6
        n = random.poisson(2, CUSTOMERS) + 1
        z = (
            -2
            + 1.2 * (amt > 30)
            + 0.9 * (segment == "YOUNG")
            + (0.5 if ym < "202509" else -0.2) * n * visited
        )
        responds = random.random(CUSTOMERS) < 1 / (1 + np.exp(-z))
        amt_seen = np.where(random.random(CUSTOMERS) < 0.04, np.nan, amt)
        facts.append(
            pd.DataFrame({"customer_id": ids, "ym": ym, "amt": amt_seen, "cnt": cnt, "segment": segment})
        )
        visits.append(pd.DataFrame({"customer_id": ids, "ym": ym, "n": n})[visited])
        loans.append(pd.DataFrame({"customer_id": ids[responds], "ym": add_months(ym, 1)}))
    for name, parts in (("facts", facts), ("visits", visits), ("loans", loans)):
        store.create_table(name, pa.Table.from_pandas(pd.concat(parts), preserve_index=False))


@dataclass
class World:
    """One installation: its offline store, its artefacts, and what the last run said."""

    root: Path
    url: str
    artifacts: ArtifactStore
    progress: list[tuple[float, float, str]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def context(
        self, base_ym: str, *, spec: ModelSpec = SPEC, inputs: Mapping[str, Artifact], **params: Any
    ) -> StepContext:
        workdir = self.root / f"work-{len(list(self.root.iterdir()))}"
        workdir.mkdir()
        return StepContext(
            base_ym=base_ym,
            dates=date_params(base_ym),
            params=params,
            spec=spec,
            feature_sets=(BALANCE, VISITS, BALANCE_2),
            store=open_store(self.url),
            artifacts=self.artifacts,
            inputs=inputs,
            workdir=workdir,
            on_progress=lambda done, total, text: self.progress.append((done, total, text)),
            on_log=self.log.append,
        )

    def run(
        self, template: str, base_ym: str, *, until: str = "", spec: ModelSpec = SPEC, **params: Any
    ) -> tuple[dict[str, StepResult], dict[str, Artifact]]:
        """Every step of a template in order, as the executor would; `until` is the last one."""
        results: dict[str, StepResult] = {}
        inputs: dict[str, Artifact] = {}
        for name in TEMPLATES[template]:
            result = get_step(template, name)(self.context(base_ym, spec=spec, inputs=inputs, **params))
            # what the executor demands of every step
            canonical_json(dict(result.metrics))
            assert all(self.artifacts.exists(item.sha256) for item in result.artifacts.values())
            assert result.summary
            results[name] = result
            inputs |= result.artifacts
            if name == until:
                break
        return results, inputs

    def json(self, artifact: Artifact) -> Any:
        return self.artifacts.read_json(artifact.sha256)

    def frame(self, artifact: Artifact) -> pd.DataFrame:
        return pd.read_parquet(self.artifacts.open_path(artifact.sha256))


def champion_params(world: World, inputs: Mapping[str, Artifact], spec: ModelSpec = SPEC) -> dict[str, Any]:
    """What a later run is given of the version that an earlier run made."""
    manifest = world.json(inputs["package"])
    return {
        "version": 1,
        "label": "v1",
        "package_sha256": inputs["package"].sha256,
        "definition": spec.to_dict(),
        "train_months": manifest["train_months"],
    }
