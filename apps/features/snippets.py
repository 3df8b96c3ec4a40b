"""Lines to copy from a feature's page: how a program reads it."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.features.models import Feature
from mlopslib.definition import FeatureSetSpec


@dataclass(frozen=True)
class Snippet:
    title: str
    text: str


def snippets_of(feature: Feature, base_ym: str, origin: str) -> list[Snippet]:
    """The catalog by REST, and the values of one month with our library.

    Names are identifiers that the service has checked, so they stand in the lines as they are.
    """
    held = feature.feature_set
    spec = FeatureSetSpec(held.name, held.version, held.entity_key, held.sql)
    address = f"{origin.rstrip('/')}{reverse('api-feature-detail', args=[feature.pk])}"
    python = "\n".join(
        [
            "import os",
            "from mlopslib.offline import open_store",
            "",
            'store = open_store(os.environ["OFFLINE_URL"])',
            "frame = store.read_sql(",
            f'    "SELECT {spec.entity_key}, {feature.name} FROM {spec.table} "',  # noqa: S608
            f"    \"WHERE base_ym = '{base_ym or 'YYYYMM'}'\"",
            ").to_pandas()",
        ]
    )
    return [Snippet(_("REST"), f"curl -u USER {address}"), Snippet("Python", python)]
