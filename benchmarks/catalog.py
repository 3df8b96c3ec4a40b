"""How fast the pages of a big catalog are: 10,000 features in 400 sets, 12 months of profiles each.

    python benchmarks/catalog.py [--features 10000] [--rounds 15] [--database postgres://...]

Makes the rows in a database of its own (SQLite unless told otherwise), asks for each page as a browser
would, and prints milliseconds: the whole of Django's work for the page, without the network. `cpu` is
what this process computed (with SQLite that is everything): it tells on a busy machine, too.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

MONTHS = [f"2026{month:02d}" for month in range(1, 13)]
DOMAINS = ["cards", "deposits", "bureau", "core", "digital", "collections", "lending", "wealth"]
ENTITIES = ["customer", "account", "contract", "merchant"]
VERBS = ["amt", "cnt", "ratio", "max", "min", "days", "avg", "std"]
SUBJECTS = ["withdraw", "card", "branch", "inquiry", "login", "salary", "loan", "fee", "transfer", "limit"]
MODELS = 60
#: milliseconds that a page may take (the middle of its rounds)
GOAL = 300.0


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="gijun-bench-") as home:
        os.environ |= {
            "GIJUN_HOME": home,
            "SECRET_KEY": "benchmark",
            "DJANGO_SETTINGS_MODULE": "portal.settings",
        }
        os.environ |= {"DEBUG": "0", "ALLOWED_HOSTS": "testserver"}
        if options.database:
            os.environ["DATABASE_URL"] = options.database
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        started = time.perf_counter()
        user = make_rows(options.features)
        print(f"{options.features:,} features made in {time.perf_counter() - started:.1f} s\n")
        report(user, options.rounds)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--features", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--database", default="", help="URL of an empty database to fill")
    return parser.parse_args()


def make_rows(count: int) -> Any:
    """Sets of 25 features; returns who looks at them."""
    from django.contrib.auth.models import Group
    from django.db import connection, transaction

    from apps.features.models import Tag
    from portal.models import User

    dice = random.Random(7)
    with transaction.atomic():
        people = User.objects.bulk_create(
            User(username=f"person{n:02d}", first_name="Kim", last_name=f"{n:02d}") for n in range(24)
        )
        people[0].groups.add(Group.objects.get_or_create(name="data_scientist")[0])
        tags = Tag.objects.bulk_create(Tag(name=f"tag-{n}") for n in range(30))
        sets = make_sets(count // 25, people, tags, dice)
        features = make_features(sets, dice)
        make_profiles(features, dice)
        make_use(sets, features, people, dice)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    return people[0]


def make_sets(count: int, people: list[Any], tags: list[Any], dice: random.Random) -> list[Any]:
    from apps.features.models import FeatureSet, Materialisation, SetSource

    lines = "\n".join(
        f"  , SUM(CASE WHEN code = '{n}' THEN amount ELSE 0 END) AS part_{n}" for n in range(40)
    )
    sets = FeatureSet.objects.bulk_create(
        FeatureSet(
            name=f"{dice.choice(SUBJECTS)}_set_{n:03d}",
            title=f"Figures of {dice.choice(SUBJECTS)}, part {n}",
            description="Monthly figures of each entity, for risk and marketing models.",
            domain=dice.choice(DOMAINS),
            entity=dice.choice(ENTITIES),
            entity_key="entity_id",
            sql=f"SELECT entity_id\n{lines}\nFROM source_{n % 90}\nWHERE ym = '{{base_ym}}'\nGROUP BY 1",
            sql_sha256=f"{n:064d}",
            source_tables=[f"source_{n % 90}"],
            status="DEPRECATED" if n % 40 == 0 else "PUBLISHED",
            owner=dice.choice(people),
        )
        for n in range(count)
    )
    through = FeatureSet.tags.through
    through.objects.bulk_create(
        through(featureset_id=row.pk, tag_id=tag.pk) for row in sets for tag in dice.sample(tags, 3)
    )
    Materialisation.objects.bulk_create(
        (
            Materialisation(feature_set=row, base_ym=month, rows=1_000_000, table_version=1)
            for n, row in enumerate(sets)
            # every tenth set has stopped in summer: late
            for month in (MONTHS if n % 10 else MONTHS[:6])
        ),
        batch_size=2_000,
    )
    SetSource.objects.bulk_create(
        SetSource(feature_set=row, table=row.source_tables[0], column=column)
        for row in sets
        for column in ("ym", "entity_id")
    )
    return sets


def make_features(sets: list[Any], dice: random.Random) -> list[Any]:
    from apps.features.models import Feature, FeatureSource

    features = Feature.objects.bulk_create(
        (
            Feature(
                feature_set=row,
                position=n,
                name=f"{dice.choice(SUBJECTS)}_{dice.choice(VERBS)}_{n}m_{row.name[-3:]}",
                dtype="category" if n % 9 == 0 else "numeric",
                engine_type="string" if n % 9 == 0 else "double",
                description=f"What {dice.choice(SUBJECTS)} came to in the last {n} months",
                latest_ym=MONTHS[-1],
                latest_psi=dice.expovariate(20),
            )
            for row in sets
            for n in range(25)
        ),
        batch_size=2_000,
    )
    FeatureSource.objects.bulk_create(
        (
            FeatureSource(feature=feature, table=table, column=f"{dice.choice(SUBJECTS)}_{column}")
            for feature in features
            for table in feature.feature_set.source_tables
            for column in ("amount", "code")
        ),
        batch_size=2_000,
    )
    return features


def make_profiles(features: list[Any], dice: random.Random) -> None:
    from apps.features.models import FeatureProfile

    histogram = {"labels": [str(n) for n in range(10)], "shares": [0.1] * 10, "reference_ym": MONTHS[0]}
    details = {"quantiles": {"0.01": 0.1, "0.5": 5.0, "0.99": 9.9}, "top": [], "outliers": 0.01}
    FeatureProfile.objects.bulk_create(
        (
            FeatureProfile(
                feature=feature,
                base_ym=month,
                rows=1_000_000,
                missing=10,
                distinct=900,
                mean=5.0,
                std=1.0,
                minimum=0.0,
                maximum=10.0,
                psi=None if month == MONTHS[0] else dice.expovariate(20),
                psi_high=0.01,
                histogram=histogram,
                details=details,
            )
            for feature in features
            for month in MONTHS
        ),
        batch_size=2_000,
    )


def make_use(sets: list[Any], features: list[Any], people: list[Any], dice: random.Random) -> None:
    """Models of 40 features each; every second set has a schedule."""
    from django.utils import timezone

    from apps.models.models import RegisteredModel
    from apps.pipelines.models import Pipeline, Schedule

    models = RegisteredModel.objects.bulk_create(
        RegisteredModel(
            name=f"model_{n}", title=f"Model {n}", entity="customer", owner=people[1], definition={}
        )
        for n in range(MODELS)
    )
    for model in models:
        taken = dice.sample(features, 40)
        model.definition = {
            "name": model.name,
            "features": [
                {"feature_set": f.feature_set.name, "version": 1, "column": f.name, "dtype": f.dtype}
                for f in taken
            ],
        }
        model.feature_sets.set({f.feature_set for f in taken})
    RegisteredModel.objects.bulk_update(models, ["definition"])
    pipelines = Pipeline.objects.bulk_create(
        Pipeline(name=f"{row.name} materialise", template="materialise", feature_set=row, owner=row.owner)
        for row in sets[::2]
    )
    schedules = Schedule.objects.bulk_create(Schedule(pipeline=row, owner=row.owner) for row in pipelines)
    Schedule.objects.filter(pk__in=[row.pk for row in schedules]).update(
        created_at=timezone.now() - timedelta(days=200)
    )


def report(user: Any, rounds: int) -> None:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from apps.features.models import Feature

    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    one = Feature.objects.select_related("feature_set").order_by("pk")[5_000 % Feature.objects.count()]
    pages = {
        "list, by drift": "/features/",
        "list, page 100": "/features/?page=100",
        "search: one name": f"/features/?q={one.name}",
        "search: part of names": "/features/?q=salary",
        "search: two words": "/features/?q=salary+amt",
        "search: in the SQL": "/features/?q=part_17",
        "search: nothing": "/features/?q=zzzz",
        "facets: three": "/features/?domain=cards&entity=customer&drift=stable",
        "facet: late": "/features/?freshness=late",
        "tab: unused": "/features/?tab=unused",
        "sort: owner": "/features/?sort=owner",
        "sort: name": "/features/?sort=name",
        "feature sets": "/features/sets/",
        "a set": one.feature_set.get_absolute_url(),
        "a feature": one.get_absolute_url(),
        "lineage": f"/features/sets/{one.feature_set.name}/lineage/",
        "what breaks": f"/features/breaks/?table={one.feature_set.source_tables[0]}",
        "REST: search": "/api/features/?q=salary",
        "CSV of everything": "/features/?format=csv",
    }
    print(f"{'page':24}{'p50 ms':>9}{'p95 ms':>9}{'cpu ms':>9}{'queries':>9}{'kB':>8}")
    slow = []
    for label, address in pages.items():
        response = client.get(address)
        if response.status_code != 200:
            raise SystemExit(f"{address}: {response.status_code}")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get(address)
        times, computed = [], time.process_time()
        for _round in range(rounds):
            started = time.perf_counter()
            client.get(address)
            times.append((time.perf_counter() - started) * 1_000)
        cpu = (time.process_time() - computed) * 1_000 / rounds
        middle = statistics.median(times)
        high = sorted(times)[min(int(len(times) * 0.95), len(times) - 1)]
        size = len(response.content) / 1_000
        print(f"{label:24}{middle:9.0f}{high:9.0f}{cpu:9.0f}{len(queries):9}{size:8.0f}")
        if middle > GOAL and "CSV" not in label:
            slow.append(label)
    print("\nevery page under" if not slow else f"\n{', '.join(slow)}: over", f"{GOAL:.0f} ms")
    if slow:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
