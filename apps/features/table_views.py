"""Pages of the offline store's tables: what there is, what one holds, load a file."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from apps.common import access
from apps.features import tables
from apps.features.models import FeatureSource
from mlopslib.errors import GijunError, TableNotFound
from mlopslib.offline import open_store


class ImportForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Table name"),
        max_length=63,
        help_text=gettext_lazy("A lower-case letter, then letters, digits or _."),
        widget=forms.TextInput(attrs={"autocapitalize": "off", "autocomplete": "off", "class": "mono"}),
    )
    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy(".parquet, or .csv in UTF-8 with a header line."),
        allow_empty_file=True,
        widget=forms.FileInput(attrs={"accept": ",".join(tables.KINDS)}),
    )
    replace = forms.BooleanField(
        label=gettext_lazy("Replace the table if it exists"),
        required=False,
        help_text=gettext_lazy("Old versions stay readable for runs that pinned them."),
    )

    def show(self, error: GijunError) -> None:
        """A refusal stands at the field that it names; a refusal of the file's content at the file."""
        field = "name" if error.field in {"name", "table"} else "file"
        self.add_error(field, error.message)


@require_GET
def table_list(request: HttpRequest) -> HttpResponse:
    access.require(request.user, "view")
    fault = ""
    rows: list[tables.TableRow] = []
    try:
        rows = tables.table_rows(open_store(settings.OFFLINE_URL))
    except GijunError as error:
        fault = error.message
    words = request.GET.get("q", "").strip().lower()
    shown = [row for row in rows if words in row.name]
    context = {"tables": shown, "has_any": bool(rows), "fault": fault, "words": words}
    return render(request, "features/tables.html", context)


@require_GET
def table_detail(request: HttpRequest, name: str) -> HttpResponse:
    access.require(request.user, "view")
    store = open_store(settings.OFFLINE_URL)
    try:
        columns = store.describe(name)
    except TableNotFound as error:
        raise Http404(error.message) from error
    context: dict[str, Any] = {"table": name, "columns": _with_readers(name, columns), "fault": ""}
    try:
        context["head"], context["rows"] = tables.sample(store, name)
    except GijunError as error:
        context["fault"] = error.message
    return render(request, "features/table.html", context)


def _with_readers(table: str, columns: list[Any]) -> list[dict[str, Any]]:
    """Each column with the number of current features that are computed from it."""
    counts: dict[str, int] = {}
    sources = FeatureSource.objects.filter(table=table, feature__feature_set__is_current=True)
    for name in sources.values_list("column", flat=True):
        counts[name] = counts.get(name, 0) + 1
    return [{"name": c.name, "type": c.type, "features": counts.get(c.name, 0)} for c in columns]


@require_http_methods(["GET", "POST"])
def table_import(request: HttpRequest) -> HttpResponse:
    access.require(request.user, "tables.import")
    form = ImportForm(
        request.POST or None, request.FILES or None, initial={"name": request.GET.get("name", "")}
    )
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            made = tables.import_table(
                actor=request.user,
                store=open_store(settings.OFFLINE_URL),
                name=values["name"],
                upload=values["file"],
                replace=values["replace"],
            )
        except GijunError as error:
            form.show(error)
        else:
            messages.success(
                request,
                _("%(table)s holds %(rows)s rows now.") % {"table": made.name, "rows": f"{made.rows:,}"},
            )
            return redirect("features:table", made.name)
    return render(request, "features/table_import.html", {"form": form}, status=422 if form.errors else 200)
