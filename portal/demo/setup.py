"""The demo's main job: a synthetic bank, a champion in service, and a CT run that waits for approval.

Every part asks first whether it is there, so a set-up that was interrupted goes on where it stopped.
Runs go through the same queue, workers and services as everybody's.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.utils import timezone

from apps.common.access import Role
from apps.features.models import FeatureSet
from apps.features.services import create_feature_set
from apps.models.models import RegisteredModel, Review
from apps.models.services import define_model
from apps.pipelines.models import Pipeline, PipelineRun
from apps.pipelines.services import add_schedule, define_pipeline, ensure_pipeline, start_run
from apps.serving.models import Deployment, Endpoint
from apps.serving.services import approve_and_deploy, create_endpoint
from mlopslib.dates import add_months
from mlopslib.errors import GijunError
from mlopslib.offline import open_store
from mlopslib.offline.base import OfflineStore
from portal.demo import bank, definitions
from portal.demo.progress import Progress
from portal.models import User

#: user name, first name, last name, roles
PEOPLE = (
    ("minseo", "Minseo", "Kang", (Role.DATA_SCIENTIST,)),
    ("jihye", "Jihye", "Han", (Role.REVIEWER,)),
    ("ops", "Taeyang", "Seo", (Role.OPERATOR,)),
    ("admin", "Yuna", "Baek", (Role.ADMIN, Role.VIEWER)),
)
ENDPOINT = "loan-needs"
MONTHS = 24
#: the champion is trained this many months before the last one
CHAMPION_AGE = 10
_STAGES = 9
_DEPLOY_SECONDS = 120
_FAILED = {PipelineRun.Status.FAILED, PipelineRun.Status.CANCELLED}


class DemoFailed(Exception):
    """A part of the demo's main job failed; the message says which and why."""


class Demo:
    """The set-up, stage by stage; `run()` does all of them."""

    def __init__(self, *, customers: int, last_ym: str | None = None) -> None:
        self.customers = customers
        self.store: OfflineStore = open_store(settings.OFFLINE_URL)
        self.progress = Progress(_STAGES)
        self.last_ym = last_ym or _remembered_last_ym() or add_months(f"{timezone.localdate():%Y%m}", -1)
        self.first_ym = add_months(self.last_ym, -(MONTHS - 1))
        #: feature SQL looks two months back
        self.first_base_ym = add_months(self.first_ym, 2)
        self.champion_ym = add_months(self.last_ym, -CHAMPION_AGE)

    def run(self) -> None:
        done = settings.GIJUN_HOME / "demo_done"
        if done.exists():
            # whatever people did with it since then is theirs
            print(f"  The demo bank is there already, months {self.first_ym} to {self.last_ym}", flush=True)
            return
        people = self.make_people()
        self.make_bank()
        self.define(people)
        self.materialise(people)
        self.look_at_features(people)
        self.train_champion(people)
        self.deploy_champion(people)
        self.retrain_and_monitor()
        done.write_text(self.last_ym)

    # stages -------------------------------------------------------------------------------------

    def make_people(self) -> dict[str, User]:
        self.progress.start("People and roles")
        passwords = demo_passwords()
        people = {}
        for username, first, last, roles in PEOPLE:
            user, is_new = User.objects.get_or_create(
                username=username,
                defaults={"first_name": first, "last_name": last, "is_staff": Role.ADMIN in roles},
            )
            if is_new:
                user.set_password(passwords[username])
                user.save()
                user.groups.set(Group.objects.filter(name__in=roles))
            people[username] = user
        admin = people["admin"]
        if not admin.is_superuser:
            admin.is_superuser = True
            admin.save()
        self.progress.finish(f"{len(people)} accounts")
        return people

    def make_bank(self) -> None:
        self.progress.start(f"A bank of {self.customers:,} customers, {MONTHS} months")
        if self.store.table_exists("loan_contracts"):
            self.progress.finish("there already")
            return
        bank.write_bank(
            self.store,
            customers=self.customers,
            months=MONTHS,
            last_ym=self.last_ym,
            on_progress=lambda done, total, text="": self.progress.update(done / max(total, 1), text),
        )
        _remember_last_ym(self.last_ym)
        self.progress.finish(f"{len(self.store.list_tables())} tables, {self.first_ym} to {self.last_ym}")

    def define(self, people: dict[str, User]) -> None:
        self.progress.start("Feature sets, model, pipelines, schedule")
        author = people["minseo"]
        for item in definitions.FEATURE_SETS:
            if not FeatureSet.objects.filter(name=item.spec.name).exists():
                create_feature_set(
                    actor=author,
                    store=self.store,
                    name=item.spec.name,
                    title=item.title,
                    description=item.description,
                    domain=item.domain,
                    tags=item.tags,
                    entity="customer",
                    entity_key=item.spec.entity_key,
                    sql=item.spec.sql,
                    features=item.spec.features,
                )
        model = RegisteredModel.objects.filter(name=definitions.MODEL.name).first()
        if model is None:
            model = define_model(
                actor=author,
                spec=definitions.MODEL,
                title=definitions.MODEL_TITLE,
                description=definitions.MODEL_DESCRIPTION,
                entity="customer",
            )
        self._define_pipelines(author, model)
        if not Endpoint.objects.filter(name=ENDPOINT).exists():
            create_endpoint(
                actor=author,
                name=ENDPOINT,
                registered_model=model,
                identifiers=["customId", "affiNo", "affiCode"],
                echo=["affiNo", "affiCode"],
            )
        self.progress.finish(f"{FeatureSet.objects.count()} feature sets, model {model.name}")

    def _define_pipelines(self, author: User, model: RegisteredModel) -> None:
        if Pipeline.objects.filter(registered_model=model).exists():
            return
        training = define_pipeline(
            actor=author,
            name=f"{model.name} CT",
            template="training",
            registered_model=model,
            policy={"request_review": "always"},
        )
        monitoring = define_pipeline(
            actor=author, name=f"{model.name} monitoring", template="monitoring", registered_model=model
        )
        for feature_set in FeatureSet.objects.filter(is_current=True):
            months = define_pipeline(
                actor=author,
                name=f"{feature_set.name} months",
                template="materialise",
                feature_set=feature_set,
            )
            add_schedule(actor=author, pipeline=months, day_of_month=1, hour=3, lag_months=1)
        add_schedule(actor=author, pipeline=training, day_of_month=3, hour=2, lag_months=1)
        add_schedule(actor=author, pipeline=monitoring, day_of_month=2, hour=2, lag_months=1)

    def materialise(self, people: dict[str, User]) -> None:
        self.progress.start("Features for the months needed")
        names = [item.spec.name for item in definitions.FEATURE_SETS]
        pipelines = Pipeline.objects.filter(template="materialise", feature_set__name__in=names)
        params = {"first_ym": self.first_base_ym, "last_ym": self.last_ym}
        runs = [
            self._run(pipeline, self.last_ym, actor=people["minseo"], params=params) for pipeline in pipelines
        ]
        self._wait(runs)
        self.progress.finish(f"{len(runs)} feature sets, {self.first_base_ym} to {self.last_ym}")

    def look_at_features(self, people: dict[str, User]) -> None:
        """A leak proof of each feature set, a report against the target, and one set online."""
        self.progress.start("Leak proofs, EDA, online store")
        proved_ym = add_months(self.last_ym, -2)
        runs = []
        for feature_set in FeatureSet.objects.filter(is_current=True).order_by("name"):
            wanted: list[tuple[str, str, dict[str, Any]]] = [
                ("leak_proof", proved_ym, {"months": [add_months(proved_ym, -1), proved_ym]})
            ]
            if feature_set.name == "cust_balance":
                # the newest month whose target is complete
                target = {"label": definitions.MODEL.name, "sql": definitions.MODEL.target_sql}
                wanted.append(("eda", proved_ym, {"target": target}))
                wanted.append(("online", self.last_ym, {}))
            for template, base_ym, params in wanted:
                pipeline = ensure_pipeline(actor=people["minseo"], template=template, feature_set=feature_set)
                runs.append(self._run(pipeline, base_ym, actor=people["minseo"], params=params))
        self._wait(runs)
        proved = FeatureSet.objects.filter(proof=FeatureSet.Proof.PROVED).count()
        self.progress.finish(f"{proved} feature sets proved, months {proved_ym} and before")

    def train_champion(self, people: dict[str, User]) -> None:
        self.progress.start(f"Training the first version, base month {self.champion_ym}")
        run = self._run(self._pipeline("training"), self.champion_ym, actor=people["minseo"])
        self._wait([run])
        self.progress.finish(str(run.version))

    def deploy_champion(self, people: dict[str, User]) -> None:
        self.progress.start("Approved by jihye, deployed to the serving workers")
        review = Review.objects.filter(version__base_ym=self.champion_ym).earliest("id")
        if review.status == Review.Status.PENDING:
            approve_and_deploy(
                actor=people["jihye"],
                review=review,
                note="First version: OOT figures keep the gates, nothing in service to compare with.",
            )
        deployment = Deployment.objects.filter(review=review).earliest("id")
        deadline = time.monotonic() + _DEPLOY_SECONDS
        while deployment.state == Deployment.State.PENDING:
            if time.monotonic() > deadline:
                raise DemoFailed(f"the serving workers did not take it within {_DEPLOY_SECONDS} s")
            time.sleep(0.2)
            deployment.refresh_from_db()
        if deployment.state == Deployment.State.REFUSED:
            raise DemoFailed(f"the serving workers refused the first version: {deployment.reason}")
        self.progress.finish(f"{deployment.version} answers on /v1/endpoints/{ENDPOINT}/score")

    def retrain_and_monitor(self) -> None:
        self.progress.start(f"CT run at {self.last_ym}, and the champion's monitoring")
        training = self._run(self._pipeline("training"), self.last_ym, actor=None)
        months = [add_months(self.champion_ym, n) for n in range(1, CHAMPION_AGE + 1)]
        monitoring = self._pipeline("monitoring")
        runs = [training, *(self._run(monitoring, month, actor=None) for month in months)]
        self._wait(runs)
        training.refresh_from_db()
        comparison = training.version.comparisons.first()
        self.progress.finish(f"{training.version}: {comparison.get_verdict_display()}")
        self.progress.start("Review")
        review = Review.objects.filter(version=training.version).latest("id")
        self.progress.finish(f"{review} is {review.get_status_display()}")

    # helpers ------------------------------------------------------------------------------------

    def _pipeline(self, template: str) -> Pipeline:
        return Pipeline.objects.get(template=template, registered_model__name=definitions.MODEL.name)

    def _run(
        self, pipeline: Pipeline, base_ym: str, *, actor: User | None, params: dict[str, Any] | None = None
    ) -> PipelineRun:
        """The run of this pipeline and month that is there and did not fail, else a new one."""
        earlier = pipeline.runs.filter(base_ym=base_ym).exclude(status__in=_FAILED).first()
        if earlier is not None:
            return earlier
        trigger = PipelineRun.Trigger.MANUAL if actor else PipelineRun.Trigger.SCHEDULE
        return start_run(actor=actor, pipeline=pipeline, base_ym=base_ym, trigger=trigger, params=params)

    def _wait(self, runs: Sequence[PipelineRun], *, seconds: float = 900) -> None:
        """Until every run has ended; raises DemoFailed with the reason of the first that failed."""
        deadline = time.monotonic() + seconds
        while True:
            share, text = 0.0, ""
            for run in runs:
                run.refresh_from_db()
                if run.status in _FAILED:
                    raise DemoFailed(
                        f"{run} {run.status}: {run.error.get('message', '')} (see {run.pk} in the portal)"
                    )
                share += _share_done(run) / len(runs)
            if all(run.is_terminal for run in runs):
                return
            if time.monotonic() > deadline:
                raise DemoFailed(f"runs did not end within {seconds:.0f} s; see the logs of celery")
            text = next((_current_step(run) for run in runs if not run.is_terminal), "")
            self.progress.update(share, text)
            time.sleep(0.3)


def _share_done(run: PipelineRun) -> float:
    steps = list(run.steps.values_list("state", "progress_done", "progress_total"))
    done = sum(
        1.0 if state == "SUCCEEDED" else part / total if total else 0.0 for state, part, total in steps
    )
    return done / max(len(steps), 1)


def _current_step(run: PipelineRun) -> str:
    step = run.steps.filter(state="RUNNING").first()
    return f"{step.name}: {step.progress_text}" if step else ""


def demo_passwords() -> dict[str, str]:
    """Passwords of the demo's accounts, made once for this installation."""
    path = settings.GIJUN_HOME / "demo_passwords.json"
    if not path.exists():
        values = {username: f"gijun-{secrets.token_hex(4)}" for username, *_ in PEOPLE}
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            json.dump(values, handle)
    return json.loads(path.read_text())


def write_example_request(path: Path, *, rows: int = 3) -> None:
    """A request for real customers of the last month, in the body that services send."""
    deployment = Deployment.objects.filter(endpoint__name=ENDPOINT).exclude(state="REFUSED").latest("seq")
    spec = deployment.version.spec
    columns: dict[str, list[str]] = {}
    for ref in spec.features:
        columns.setdefault(f"fs_{ref.feature_set}_v{ref.version}", []).append(ref.column)
    inputs = {table: _last_month(table, spec.entity_key, names) for table, names in columns.items()}
    customers = sorted(set.intersection(*(set(found) for found in inputs.values())))[:rows]
    requests = []
    for number, customer in enumerate(customers, start=1):
        row = {"customId": str(customer), "affiNo": f"{100_000_000 + number}", "affiCode": "CODE01"}
        for found in inputs.values():
            row |= found[customer]
        requests.append(row)
    path.write_text(json.dumps({"requests": requests}, indent=1))


def _last_month(table: str, key: str, names: list[str]) -> dict[Any, dict[str, Any]]:
    """Features of the last materialised month by entity."""
    store = open_store(settings.OFFLINE_URL)
    month = store.partitions(table, "base_ym")[-1]
    found = store.read_partition(table, "base_ym", month, columns=[key, *names])
    return {row.pop(key): row for row in found.to_pylist()}


def _remember_last_ym(last_ym: str) -> None:
    (settings.GIJUN_HOME / "demo_last_ym").write_text(last_ym)


def _remembered_last_ym() -> str | None:
    path = settings.GIJUN_HOME / "demo_last_ym"
    return path.read_text().strip() if path.exists() else None


def set_up(*, customers: int, last_ym: str | None = None) -> None:
    try:
        Demo(customers=customers, last_ym=last_ym).run()
    except GijunError as error:
        raise DemoFailed(error.message) from error
