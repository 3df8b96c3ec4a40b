"""How Gijun shows a status, a number, a moment, a month and a chart: one tag for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from django import template
from django.template.context import RequestContext
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.common import access
from apps.common.charting import PSI_ACT, Chart, month_label, psi_band
from portal.icons import ICONS
from portal.trail import page_of, words_for

register = template.Library()

DASH = "–"

#: value of a status field -> (tone, icon, word)
STATUS: dict[str, tuple[str, str, Any]] = {
    "PENDING": ("info", "clock", gettext_lazy("Pending")),
    "READY": ("info", "clock", gettext_lazy("Ready")),
    "RUNNING": ("info", "runs", gettext_lazy("Running")),
    "SUCCEEDED": ("good", "check", gettext_lazy("Succeeded")),
    "FAILED": ("act", "fail", gettext_lazy("Failed")),
    "CANCELLED": ("quiet", "stop", gettext_lazy("Cancelled")),
    "CANDIDATE": ("quiet", "dot", gettext_lazy("Candidate")),
    "CHALLENGER": ("info", "dot", gettext_lazy("Challenger")),
    "CHAMPION": ("good", "check", gettext_lazy("Champion")),
    "ARCHIVED": ("quiet", "file", gettext_lazy("Archived")),
    "AWAITING_YOU": ("watch", "clock", gettext_lazy("Awaiting you")),
    "APPROVED": ("good", "check", gettext_lazy("Approved")),
    "REJECTED": ("act", "fail", gettext_lazy("Rejected")),
    "CHANGES_REQUESTED": ("watch", "undo", gettext_lazy("Changes requested")),
    "WITHDRAWN": ("quiet", "undo", gettext_lazy("Withdrawn")),
    "BETTER": ("good", "up", gettext_lazy("Better")),
    "NOT_WORSE": ("info", "check", gettext_lazy("Not worse")),
    "WORSE": ("act", "down", gettext_lazy("Worse")),
    "CANNOT_TELL": ("watch", "info", gettext_lazy("Cannot tell")),
    "LIVE": ("good", "check", gettext_lazy("Live")),
    "REFUSED": ("act", "fail", gettext_lazy("Refused")),
    "SUPERSEDED": ("quiet", "file", gettext_lazy("Superseded")),
    "SERVING": ("good", "check", gettext_lazy("Serving")),
    "LOADING": ("info", "clock", gettext_lazy("Loading")),
    "LOST": ("act", "warn", gettext_lazy("Not heard from")),
}

#: words of other choices, where the value itself is no word for a person
WORDS: dict[str, Any] = {
    "MANUAL": gettext_lazy("by hand"),
    "REST": gettext_lazy("by API"),
    "SCHEDULE": gettext_lazy("by schedule"),
    "TRAINING": gettext_lazy("Training"),
    "MONITORING": gettext_lazy("Monitoring"),
    "MATERIALISE": gettext_lazy("Materialise"),
    "LEAK_PROOF": gettext_lazy("Leak proof"),
    "EDA": gettext_lazy("EDA and correlation"),
    "ONLINE": gettext_lazy("Online store"),
    "NUMERIC": gettext_lazy("number"),
    "CATEGORY": gettext_lazy("category"),
}

BAND_WORDS: dict[str, Any] = {
    "stable": gettext_lazy("stable"),
    "watch": gettext_lazy("watch"),
    "act": gettext_lazy("act"),
}


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """One of our icons; with a `label` it speaks, without one it is decoration."""
    path = ICONS[name]
    if label:
        return format_html(
            '<svg class="icon" viewBox="0 0 24 24" role="img" aria-label="{}"><path d="{}"/></svg>',
            label,
            path,
        )
    return format_html('<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="{}"/></svg>', path)


@register.simple_tag
def status(value: Any) -> SafeString:
    """A state as a pill: tone, icon and word."""
    key = str(value).upper()
    tone, name, word = STATUS.get(key, ("quiet", "dot", key.replace("_", " ").capitalize()))
    return format_html('<span class="pill {}">{}{}</span>', tone, icon(name), word)


@register.filter
def word(value: Any) -> str:
    """The word for a state, a stage, a template or a trigger, without the pill."""
    key = str(value).upper()
    if key in STATUS:
        return str(STATUS[key][2])
    return str(WORDS.get(key, value))


def _is_figure(value: Any) -> bool:
    """A template gives "" for what is not there, so None is not the only missing value."""
    return isinstance(value, int | float) and math.isfinite(value)


@register.simple_tag
def figure(
    value: float | int | None, digits: int = 3, signed: bool = False, percent: bool = False
) -> SafeString:
    """A number with `digits` decimals (thousands grouped where it is whole), a dash where there is none."""
    if not _is_figure(value):
        return format_html('<span class="none">{}</span>', DASH)
    number = value * 100 if percent else value
    places = 0 if isinstance(value, int) and not percent else digits
    if isinstance(value, float) and not percent and abs(value) >= 10_000:
        places = 0
    # rounded here: number_format cuts digits off
    rounded = Decimal(f"{abs(number):.{places}f}")
    text = number_format(rounded, decimal_pos=places, use_l10n=True, force_grouping=True)
    zero = not any(digit in text for digit in "123456789")
    sign = "−" if number < 0 and not zero else "+" if signed and not zero else ""
    return format_html('<span class="figure">{}{}{}</span>', sign, text, "%" if percent else "")


@register.simple_tag
def when(moment: datetime | None, missing: str = DASH) -> SafeString:
    """How long ago, with the full time and its zone in the title."""
    if not moment:
        return format_html('<span class="none">{}</span>', missing)
    local = timezone.localtime(moment)
    full = f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', local.isoformat(timespec="seconds"), full, ago(moment)
    )


def ago(moment: datetime, now: datetime | None = None) -> str:
    seconds = ((now or timezone.now()) - moment).total_seconds()
    if seconds < 0:
        return f"{timezone.localtime(moment):%Y-%m-%d %H:%M}"
    if seconds < 60:
        return _("just now")
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if minutes < 60:
        return _("%(n)s min ago") % {"n": minutes}
    if hours < 24:
        return _("%(n)s h ago") % {"n": hours}
    if days < 60:
        return ngettext("%(n)s day ago", "%(n)s days ago", days) % {"n": days}
    return f"{timezone.localtime(moment):%Y-%m-%d}"


@register.simple_tag
def took(start: datetime | None, end: datetime | None) -> str:
    """Time from start to end (to now where it has not ended): ``0.4 s``, ``12 s``, ``3 min 05 s``."""
    if not start:
        return DASH
    seconds = max(((end or timezone.now()) - start).total_seconds(), 0)
    if seconds < 10:
        return _("%(n)s s") % {"n": f"{seconds:.1f}"}
    if seconds < 60:
        return _("%(n)s s") % {"n": int(seconds)}
    if seconds < 3600:
        return _("%(m)s min %(s)s s") % {"m": int(seconds // 60), "s": f"{int(seconds % 60):02d}"}
    return _("%(h)s h %(m)s min") % {"h": int(seconds // 3600), "m": f"{int(seconds % 3600 // 60):02d}"}


@register.simple_tag
def month(ym: str | None) -> str:
    """``"202610"`` as ``2026-10``."""
    return month_label(ym) if ym else DASH


@register.simple_tag
def band(psi: float | None) -> SafeString:
    """The word for a PSI at or above 0.10 (watch) or 0.25 (act); nothing below."""
    name = psi_tone(psi)
    if name in {"", "stable"}:
        return SafeString()
    return format_html('<span class="band {}">{}</span>', name, BAND_WORDS[name])


@register.simple_tag
def psi(value: float | None) -> SafeString:
    """A PSI with its band's colour and word, right-aligned on two lines in tables."""
    if not _is_figure(value):
        return format_html('<span class="none">{}</span>', DASH)
    return format_html('<span class="psi {}">{}{}</span>', psi_band(value), figure(float(value)), band(value))


@register.simple_tag
def bar(value: float | None, limit: float = PSI_ACT, tick: float | None = None, tone: str = "") -> SafeString:
    """A bar of `value` on a scale that ends at `limit`, with a tick. SVG, for the strict CSP."""
    share = 0.0 if not _is_figure(value) or limit <= 0 else min(max(value / limit, 0.0), 1.0)
    mark: SafeString | str = ""
    if tick is not None and limit > 0:
        mark = format_html('<rect class="bar-tick" x="{}" width="1" height="6"/>', f"{56 * tick / limit:.1f}")
    return format_html(
        '<svg class="bar {}" viewBox="0 0 56 6" width="56" height="6" aria-hidden="true">'
        '<rect class="bar-rail" width="56" height="6"/>'
        '<rect class="bar-fill" width="{}" height="6"/>{}</svg>',
        tone,
        f"{56 * share:.1f}",
        mark,
    )


@register.simple_tag
def sparkline(values: Sequence[float | None], tone: str = "") -> SafeString:
    """A small line of the last values. The number stands beside it, so it is decoration."""
    present = [(i, float(v)) for i, v in enumerate(values) if v is not None]
    if len(present) < 2:
        return SafeString()
    top = max(max(v for _i, v in present), 0.12)
    step = 72 / (len(values) - 1)
    points = " ".join(f"{2 + i * step:.1f},{18 - 15 * v / top:.1f}" for i, v in present)
    return format_html(
        '<svg class="sparkline {}" viewBox="0 0 76 20" width="76" height="20" aria-hidden="true">'
        '<polyline points="{}"/></svg>',
        tone,
        points,
    )


@register.filter
def psi_tone(value: float | None) -> str:
    return psi_band(value) if _is_figure(value) else ""


@register.inclusion_tag("portal/_chart.html", takes_context=True)
def chart(context: RequestContext, chart: Chart) -> dict[str, Any]:
    """A figure with its Table and CSV buttons; says to the page that it needs the chart scripts."""
    if (request := context.get("request")) is not None:
        request.has_charts = True
    return {"chart": chart}


@register.simple_tag(takes_context=True)
def chart_scripts(context: RequestContext) -> SafeString:
    """Plotly and our 2 kB, only on a page that drew a chart."""
    request = context.get("request")
    if not getattr(request, "has_charts", False):
        return SafeString()
    names = ["plotly/plotly.min.js", "js/charts.js"]
    return format_html_join("\n", '<script src="{}" defer></script>', ((static(name),) for name in names))


@register.inclusion_tag("portal/_sort.html", takes_context=True)
def sort(context: RequestContext, key: str, label: str, css: str = "", first: str = "") -> dict[str, Any]:
    """A sortable column head. `first="-"` sorts from high to low at the first click."""
    request = context["request"]
    current = request.GET.get("sort", "") or context.get("default_sort", "")
    state = "ascending" if current == key else "descending" if current == f"-{key}" else ""
    turned = f"-{key}" if state == "ascending" else key
    target = turned if state else f"{first}{key}"
    query = request.GET.copy()
    query["sort"] = target
    query.pop("page", None)
    return {"href": f"?{query.urlencode()}", "label": label, "state": state, "css": css}


@register.inclusion_tag("portal/_pager.html", takes_context=True)
def pager(context: RequestContext, page: Any) -> dict[str, Any]:
    """Page links that keep the rest of the address."""
    return {"page": page, "request": context["request"]}


@register.inclusion_tag("portal/_copy.html")
def copy(value: str, label: str = "", short: int = 0) -> dict[str, Any]:
    """`value` as code with a button that copies it; `short` shows the first characters only."""
    shown = f"{value[:short]}…" if short and len(value) > short else value
    return {"value": value, "shown": shown, "label": label}


@register.inclusion_tag("portal/_person.html")
def person(user: Any, missing: str = "") -> dict[str, Any]:
    """A person with initials; nobody is the system itself."""
    return {"person": user, "missing": missing or _("the system")}


@register.filter
def may(user: Any, action: str) -> bool:
    """``{% if user|may:"runs.start" %}``: the same table that the services ask."""
    return access.may(user, action)


@register.filter
def action_words(action: str) -> str:
    """What an audit event's actor did, in words."""
    return words_for(action)


@register.filter
def event_href(event: Any) -> str:
    return page_of(event.object_type, event.object_id, event.object_label)


@register.filter
def filesize(value: int | None) -> str:
    if not _is_figure(value):
        return DASH
    size = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return DASH


@register.filter
def safe_back(address: str | None) -> str:
    """The path of the page one came from; home where that was another site."""
    path = urlsplit(address or "").path
    return path if path.startswith("/") and not path.startswith("//") else "/"


@register.filter
def lists(query: Any, key: str) -> list[str]:
    """Every value of one key of a query string."""
    return query.getlist(key)


@register.filter
def lookup(mapping: Any, key: Any) -> Any:
    """`mapping[key]` for a key that a template holds in a variable."""
    return mapping.get(key) if mapping else None
