"""Read the source columns of feature sets again, for those published before sources were kept."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from apps.features.lineage import rebuild_sources
from apps.features.models import FeatureSet
from mlopslib.offline import open_store


class Command(BaseCommand):
    help = "Read which table columns each feature is computed from; every version that is not deleted."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="*", help="feature sets; left out: all of them")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = FeatureSet.objects.visible().order_by("name", "version").prefetch_related("features")
        if options["names"]:
            rows = rows.filter(name__in=options["names"])
        found = rebuild_sources(open_store(settings.OFFLINE_URL), rows)
        self.stdout.write(f"{found.done} versions read")
        for name, why in found.skipped.items():
            self.stdout.write(f"{name}: left as it was, {why}")
