"""Pages of reviews: what waits for a decision, and the page on which it is made."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db.models import Case, Count, IntegerField, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.common.access import Role, may, require
from apps.models import charts, evidence, services
from apps.models.activity import activity_of
from apps.models.changes import changes
from apps.models.filters import ReviewFilter
from apps.models.forms import DecisionForm, NoteForm
from apps.models.models import Comparison, ModelVersion, Review
from apps.models.report import excluded_rows, month_rows, swap_set, worse_months_sentence
from apps.models.services.catalog import authors_of
from mlopslib.errors import InvalidInput

PER_PAGE = 25
SHOWN_DRIFT = 6


@require_GET
def review_list(request: HttpRequest) -> HttpResponse:
    """All reviews, those that wait first, the oldest of them on top."""
    require(request.user, "view")
    chosen = ReviewFilter(request.GET, queryset=_listed_reviews())
    page = Paginator(chosen.qs, PER_PAGE).get_page(request.GET.get("page"))
    page.object_list = list(page.object_list)
    waiting = Review.objects.waiting_for(request.user)
    for row in page.object_list:
        row.gates_passed = sum(gate.get("passed") is True for gate in row.gates)
    context = {
        "page": page,
        "status": request.GET.get("status", ""),
        "tabs": _tabs(),
        "waiting_for_me": set(waiting.values_list("pk", flat=True)),
        "model": request.GET.get("model", ""),
        "models": Review.objects.order_by("version__registered_model__name")
        .values_list("version__registered_model__name", flat=True)
        .distinct(),
    }
    return render(request, "models/reviews.html", context)


def _listed_reviews() -> QuerySet[Review]:
    waiting_first = Case(When(status="PENDING", then=Value(0)), default=Value(1), output_field=IntegerField())
    age = Case(When(status="PENDING", then="pk"), default=Value(0), output_field=IntegerField())
    return (
        Review.objects.with_people()
        .defer("comparison__report", "version__card", "version__definition", "incumbent__card")
        .order_by(waiting_first, age, "-pk")
    )


def _tabs() -> list[tuple[str, str, int]]:
    found = Review.objects.order_by().values_list("status").annotate(Count("pk"))
    counts = dict.fromkeys(Review.Status.values, 0) | dict(found)
    words = {
        "PENDING": _("Waiting"),
        "APPROVED": _("Approved"),
        "CHANGES_REQUESTED": _("Changes requested"),
        "REJECTED": _("Rejected"),
        "WITHDRAWN": _("Withdrawn"),
    }
    tabs = [("", _("All"), sum(counts.values()))]
    return tabs + [(status, word, counts[status]) for status, word in words.items()]


@require_GET
def review(request: HttpRequest, pk: int) -> HttpResponse:
    require(request.user, "view")
    return render_review(request, find_review(pk), NoteForm())


def find_review(pk: int) -> Review:
    return get_object_or_404(
        Review.objects.with_people().select_related(
            "version__pipeline_run", "version__author", "incumbent__author"
        ),
        pk=pk,
    )


@require_POST
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Request changes, reject, or withdraw; approving is the serving app's, because it deploys."""
    row = find_review(pk)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return render_review(request, row, form, status=422)
    decision, note = form.cleaned_data["decision"], form.cleaned_data["note"]
    try:
        if decision == Review.Status.WITHDRAWN:
            services.withdraw_review(actor=request.user, review=row)
        else:
            services.decide_review(actor=request.user, review=row, decision=decision, note=note)
    except InvalidInput as error:
        return refused(request, row, form, error)
    messages.success(request, _said(row, decision))
    return redirect(row)


@require_POST
def request_review(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Ask for a decision on a candidate, on the gates and the comparison that its run found."""
    version = get_object_or_404(
        ModelVersion.objects.with_people(), registered_model__name=name, number=number
    )
    asked = services.request_review(
        actor=request.user,
        version=version,
        comparison=_current_comparison(version),
        gates=asked_gates(version),
    )
    messages.success(request, _("A review of %s was opened.") % version.label)
    return redirect(asked)


def _current_comparison(version: ModelVersion) -> Comparison | None:
    """The newest comparison with the champion of this moment."""
    return version.comparisons.filter(champion__stage=ModelVersion.Stage.CHAMPION).order_by("-pk").first()


def may_be_asked(version: ModelVersion) -> bool:
    """Whether its run left what a review shows: gates and, beside a champion, a comparison with it."""
    champions = ModelVersion.objects.champions().filter(registered_model=version.registered_model_id)
    if champions.exists() and _current_comparison(version) is None:
        return False
    return bool(asked_gates(version))


def asked_gates(version: ModelVersion) -> list[dict[str, Any]]:
    """The gates that the run of a version found: with its comparison, with an earlier request, or alone."""
    comparison = version.comparisons.order_by("-pk").first()
    if comparison is not None and comparison.report.get("gates"):
        return list(comparison.report["gates"])
    earlier = version.reviews.order_by("-pk").first()
    if earlier is not None:
        return list(earlier.gates)
    run = getattr(version, "pipeline_run", None)
    step = run.steps.filter(name="compare").first() if run is not None else None
    return list(step.metrics.get("gates") or []) if step is not None else []


def refused(request: HttpRequest, review: Review, form: NoteForm, error: InvalidInput) -> HttpResponse:
    """The page again, with what was wrong beside its field and the note kept."""
    form.add_error(error.field if error.field in form.fields else None, error.message)
    return render_review(request, review, form, status=422)


def _said(review: Review, decision: str) -> str:
    label = review.version.label
    if decision == Review.Status.WITHDRAWN:
        return _("The request for %s was withdrawn.") % label
    if decision == Review.Status.REJECTED:
        return _("%s was rejected and is a candidate again.") % label
    return _("Changes to %s were requested; it is a candidate again.") % label


def render_review(request: HttpRequest, review: Review, form: NoteForm, *, status: int = 200) -> HttpResponse:
    version, champion, comparison = review.version, review.incumbent, review.comparison
    report = comparison.report if comparison is not None else {}
    found = evidence.gather(version=version, champion=champion, report=report)
    drift = evidence.drift_rows(found)
    context = {
        "review": review,
        "version": version,
        "model": version.registered_model,
        "champion": champion,
        "comparison": comparison,
        "report": report,
        "kpis": evidence.kpis(found),
        "worse": worse_months_sentence(report),
        "months": month_rows(report),
        "excluded": excluded_rows(report),
        "swap": swap_set(report),
        "drift": drift,
        "drift_shown": drift[:SHOWN_DRIFT],
        "drift_rest": drift[SHOWN_DRIFT:],
        "drift_month": found.drift[0].base_ym if found.drift else "",
        "drift_limit": found.gates.max_feature_psi or evidence.PSI_ACT,
        "changes": changes(champion, version) if champion is not None else [],
        "charts": review_charts(found),
        "names": charts.names_of(champion, version),
        **_rail(request.user, review, form),
    }
    return render(request, "models/review.html", context, status=status)


def review_charts(found: evidence.Evidence) -> list[Any]:
    """Three figures: ranking by month, stability by month, lift by decile."""
    gates, champion = found.gates, found.champion
    if champion is not None and found.report.get("months"):
        names = charts.names_of(champion, found.version)
        return [
            charts.oot_auc(found.report, floor=gates.min_oot_auc, **names),
            charts.score_psi(found.report, **names),
            charts.decile_lift(found.report, **names),
        ]
    months = list(found.version.evaluations.evidence().filter(dataset="OOT").by_month())
    mature = [month for month in months if month.positives is not None]
    if not months:
        return []
    pooled = found.oot
    return [
        charts.evaluation_auc(mature, floor=gates.min_oot_auc, title=_("Out-of-time AUC")),
        charts.evaluation_psi(months),
        charts.version_lift(
            charts.lift_rows(pooled), subtitle=_("all OOT months"), label=found.version.label
        ),
    ]


def _rail(user: Any, review: Review, form: NoteForm) -> dict[str, Any]:
    gates = evidence.gate_rows(review.gates)
    open_gates = [gate for gate in gates if gate.state != "pass"]
    refusal = _refusal(user, review)
    pending = review.status == Review.Status.PENDING
    return {
        "form": form,
        "gates": gates,
        "open_gates": open_gates,
        "passed_gates": len(gates) - len(open_gates),
        "is_pending": pending,
        "may_decide": pending and refusal is None,
        "refusal": refusal,
        "void": services.why_void(review) if pending else None,
        "may_withdraw": pending and _may_withdraw(user, review),
        "endpoints": review.version.registered_model.endpoints.all(),
        "reviewers": _reviewers(review) if pending else [],
        "activity": activity_of(review),
    }


def _refusal(user: Any, review: Review) -> str | None:
    """Why this person may not decide; what they did themselves says more than a missing role."""
    refusal = services.why_not_decide(user, review)
    if refusal is None:
        return None
    if user.pk == review.requested_by_id:
        return _("you asked for this review, so somebody else must decide on it")
    if user.pk == review.version_author_id:
        return _("you trained %s, so somebody else must decide on it") % review.version.label
    return refusal


def _may_withdraw(user: Any, review: Review) -> bool:
    people = (review.requested_by_id, review.version.author_id, review.version.registered_model.owner_id)
    return may(user, "reviews.withdraw") and user.pk in people


def _reviewers(review: Review) -> list[Any]:
    """Who may decide: holders of the role who made nothing of what is decided on."""
    involved = {pk for pk, _work in authors_of(review.version)}
    involved |= {review.requested_by_id, review.version_author_id}
    reviewers = get_user_model().objects.filter(is_active=True, groups__name=Role.REVIEWER)
    return list(reviewers.exclude(pk__in=involved).order_by("first_name", "username")[:8])
