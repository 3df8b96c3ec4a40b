"""The buttons of a feature set's pages that start a run."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import NoReverseMatch, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from apps.features.models import FeatureSet
from apps.pipelines.feature_runs import asked_months, start_feature_run
from apps.pipelines.models import PipelineRun, Template
from mlopslib.errors import AccessDenied, GijunError

#: where the result of a run on a feature set is to be seen
_RESULT_PAGES = {
    Template.LEAK_PROOF: "features:proof",
    Template.EDA: "features:eda",
    Template.ONLINE: "features:online",
}


@require_POST
def start_for(request: HttpRequest, template: str, name: str) -> HttpResponse:
    """Start `template` on a feature set: its current version, its draft where there is none, or `version`."""
    if template not in Template.of_feature_sets():
        raise Http404(f"no template {template} for feature sets")
    feature_set = asked_version(name, request.POST.get("version", ""))
    posted = request.POST
    try:
        run = start_feature_run(
            actor=request.user,
            template=template,
            feature_set=feature_set,
            trigger=PipelineRun.Trigger.MANUAL,
            base_ym=_month(posted.get("base_ym", "")),
            first_ym=_month(posted.get("first_ym", "")),
            last_ym=_month(posted.get("last_ym", "")),
            months=asked_months(posted, "months"),
            target_model=posted.get("target_model", "").strip(),
            idempotency_key=posted.get("idempotency_key") or None,
        )
    except AccessDenied:
        raise
    except GijunError as error:
        messages.error(request, error.message)
        back = posted.get("next", "")
        is_ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure())
        return redirect(back if is_ours else result_page(template, feature_set))
    messages.success(request, _("Run %(pk)s has been started.") % {"pk": run.pk})
    return redirect(run)


def asked_version(name: str, number: str) -> FeatureSet:
    """A version of a feature set that is not deleted. Raises Http404."""
    rows = FeatureSet.objects.visible().filter(name=name)
    if number:
        rows = rows.filter(version=number) if number.isdecimal() and len(number) < 10 else rows.none()
    row = rows.order_by("-is_current", "-version").first()
    if row is None:
        raise Http404(f"no feature set {name} {number}".strip())
    return row


def result_page(template: str, feature_set: FeatureSet) -> str:
    """Address of the tab that shows what such a run finds."""
    version = "" if feature_set.is_current else f"version={feature_set.version}"
    if template == Template.MATERIALISE:
        address = f"{reverse('pipelines:months')}?set={feature_set.name}"
        return f"{address}&{version}" if version else address
    try:
        address = reverse(_RESULT_PAGES[Template(template)], args=[feature_set.name])
    except NoReverseMatch:
        address = feature_set.get_absolute_url()
    return f"{address}?{version}" if version else address


def _month(text: str) -> str:
    return text.replace("-", "").strip()
