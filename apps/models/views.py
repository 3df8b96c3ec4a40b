"""Pages of models, versions and comparisons."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from apps.common.access import may, require
from apps.common.charting import Chart, psi_band
from apps.models import card, charts, evidence
from apps.models.changes import changes
from apps.models.filters import RegisteredModelFilter
from apps.models.health import Health, complete_after, drift_table, health_of
from apps.models.models import Comparison, Evaluation, ModelVersion, RegisteredModel, Review
from apps.models.report import excluded_rows, month_rows, pooled_row, swap_set, worse_months_sentence
from apps.models.review_views import may_be_asked
from mlopslib.definition import Gates

PER_PAGE = 25
#: versions and comparisons on the page of a model
NEWEST = 12


@require_GET
def model_list(request: HttpRequest) -> HttpResponse:
    """The catalog of models, each with its champion and how that one fares."""
    require(request.user, "view")
    chosen = RegisteredModelFilter(request.GET, queryset=_listed_models())
    page = Paginator(chosen.qs, PER_PAGE).get_page(request.GET.get("page"))
    rows = [_model_row(row) for row in page.object_list]
    context = {
        "filter": chosen,
        "page": page,
        "rows": rows,
        "total": RegisteredModel.objects.count(),
        "query": request.GET.get("q", ""),
        "may_define": may(request.user, "models.define"),
    }
    return render(request, "models/list.html", context)


def _listed_models() -> QuerySet[RegisteredModel]:
    champions = ModelVersion.objects.champions().select_related("registered_model")
    produced = Evaluation.objects.defer("details").exclude(base_ym="").exclude(dataset__in=["TRAIN", "TEST"])
    return (
        RegisteredModel.objects.with_counts()
        .with_owner()
        .order_by("name")
        .prefetch_related(
            Prefetch("versions", queryset=champions, to_attr="champion_rows"),
            Prefetch(
                "champion_rows__evaluations",
                queryset=produced.order_by("base_ym", "dataset"),
                to_attr="months",
            ),
            "endpoints",
        )
    )


def _model_row(model: RegisteredModel) -> dict[str, Any]:
    champion = next(iter(model.champion_rows), None)  # type: ignore[attr-defined]
    months = list(champion.months) if champion is not None else []
    with_psi = [month for month in months if month.score_psi is not None]
    measured = [month for month in months if month.auc is not None]
    return {
        "model": model,
        "champion": champion,
        "latest": with_psi[-1] if with_psi else None,
        "band": psi_band(with_psi[-1].score_psi) if with_psi else "",
        "psi_history": [month.score_psi for month in with_psi][-12:],
        "measured": measured[-1] if measured else None,
        "endpoints": list(model.endpoints.all()),
    }


@require_GET
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """One model: who serves, how it fares, what was compared, how it is defined."""
    require(request.user, "view")
    model = get_object_or_404(RegisteredModel.objects.with_owner(), name=name)
    versions = list(model.versions.select_related("author", "pipeline_run")[:NEWEST])
    champion = next((row for row in versions if row.stage == ModelVersion.Stage.CHAMPION), None)
    if champion is None:
        champion = model.versions.champions().select_related("author").first()
    comparisons = (
        model.comparisons.select_related("champion", "challenger")
        .defer("report", "champion__card", "challenger__card")
        .prefetch_related(Prefetch("reviews", queryset=Review.objects.order_by("-id")))
    )
    pending = Review.objects.pending().for_model(name).with_people()
    context = {
        "model": model,
        "spec": model.spec,
        "champion": champion,
        "versions": versions,
        "version_count": model.versions.count(),
        "comparisons": comparisons[:NEWEST],
        "pending": pending,
        "waiting_for_me": set(
            Review.objects.waiting_for(request.user).for_model(name).values_list("pk", flat=True)
        ),
        "pipelines": _pipelines(model),
        "endpoints": _endpoints(model),
        "may_start": may(request.user, "runs.start"),
        "all_features": request.GET.get("features") == "all",
        **(_health(champion) if champion is not None else {}),
    }
    return render(request, "models/detail.html", context)


#: when a training run asks for a review by itself
POLICY_WORDS = {
    "always": gettext_lazy("always"),
    "better": gettext_lazy("when better"),
    "not_worse": gettext_lazy("when not worse"),
    "never": gettext_lazy("never"),
}


def _pipelines(model: RegisteredModel) -> list[Any]:
    pipelines = list(model.pipelines.prefetch_related("schedules"))
    for pipeline in pipelines:
        policy = pipeline.policy.get("request_review", "") if pipeline.template == "training" else ""
        pipeline.review_policy = POLICY_WORDS.get(policy, policy)
        pipeline.last_run = pipeline.runs.first()
    return pipelines


def _endpoints(model: RegisteredModel) -> list[dict[str, Any]]:
    """Each endpoint with what is asked of its workers (the newest deployment) and what is live."""
    found = []
    for endpoint in model.endpoints.prefetch_related("deployments__version", "workers"):
        deployments = list(endpoint.deployments.all())
        found.append(
            {
                "endpoint": endpoint,
                "newest": deployments[0] if deployments else None,
                "live": next((row for row in deployments if row.state == "LIVE"), None),
                "workers": len(endpoint.workers.all()),
            }
        )
    return found


def _health(champion: ModelVersion) -> dict[str, Any]:
    health, drift = health_of(champion), drift_table(champion)
    gates, measured = champion.spec.gates, health.latest_mature
    unmeasured = health.unmeasured(champion)
    return {
        "health": health,
        "immature": [
            (month, complete_after(champion, month.base_ym))
            for month in health.immature
            if month not in unmeasured
        ],
        "unmeasured": unmeasured,
        "drift": drift,
        "worst": drift.worst,
        "spec_gates": gates,
        "auc_tone": _floor_tone(measured.auc if measured else None, gates.min_oot_auc),
        "lift_tone": _floor_tone(measured.lift_at_10 if measured else None, gates.min_lift_at_10),
        "charts": health_charts(health, gates),
    }


def health_charts(health: Health, gates: Gates) -> list[Chart]:
    if not health.months:
        return []
    found = [charts.evaluation_psi(health.months)]
    if health.mature:
        found.append(charts.evaluation_auc(health.mature, floor=gates.min_oot_auc))
        found.append(charts.evaluation_lift(health.mature, floor=gates.min_lift_at_10))
    return found


def _floor_tone(value: float | None, floor: float | None) -> str:
    if value is None or floor is None:
        return ""
    return "good" if value >= floor else "act"


@require_GET
def version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """One trained version: its figures, the proof of its package, what it was made of."""
    require(request.user, "view")
    row = get_object_or_404(
        ModelVersion.objects.with_people().select_related("pipeline_run"),
        registered_model__name=name,
        number=number,
    )
    figures = card.figures_of(row)
    return render(
        request,
        "models/version.html",
        {
            "version": row,
            "model": row.registered_model,
            "spec": row.spec,
            "parity": card.parity_sentence(row),
            "package": card.package_of(row),
            "figures": figures,
            "charts": card.charts_of(row, figures),
            "lift": charts.lift_rows(figures.measured),
            "period": card.period_of(row),
            "importance": evidence.importance_bars(row),
            "drift": drift_table(row),
            "all_features": request.GET.get("features") == "all",
            "reviews": row.reviews.with_people(),
            "comparisons": row.comparisons.with_versions().defer("report"),
            "may_request": may(request.user, "reviews.request")
            and row.stage == ModelVersion.Stage.CANDIDATE
            and may_be_asked(row),
        },
    )


@require_GET
def comparison(request: HttpRequest, pk: int) -> HttpResponse:
    """The whole report of one comparison: every month, every interval, and how it was done."""
    require(request.user, "view")
    row = get_object_or_404(Comparison.objects.with_versions(), pk=pk)
    report, names = row.report, charts.names_of(row.champion, row.challenger)
    return render(
        request,
        "models/comparison.html",
        {
            "comparison": row,
            "model": row.registered_model,
            "report": report,
            "names": names,
            "months": month_rows(report),
            "pooled": pooled_row(report),
            "excluded": excluded_rows(report),
            "worse": worse_months_sentence(report),
            "swap": swap_set(report),
            "changes": changes(row.champion, row.challenger),
            "spec": row.challenger.spec,
            "reviews": row.reviews.with_people(),
            "charts": [
                charts.oot_auc(report, floor=row.challenger.spec.gates.min_oot_auc, **names),
                charts.auc_difference(report, **names),
                charts.both_by_month(report, "lift10", _("Lift, top decile"), digits=2, **names),
                charts.both_by_month(report, "ks", _("KS"), **names),
                charts.score_psi(report, **names),
                charts.decile_lift(report, **names),
            ],
        },
    )
