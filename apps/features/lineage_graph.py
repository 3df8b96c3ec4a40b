"""The lineage picture: nodes in five columns with lines between them, placed for our own SVG."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.features.models import Feature, FeatureSet
from apps.features.usage import Use, all_uses

Kind = Literal["table", "set", "feature", "model", "endpoint"]
KINDS: tuple[Kind, ...] = ("table", "set", "feature", "model", "endpoint")

#: features that are drawn one by one; more are drawn in groups of those with the same models
MANY = 16
#: a group of this many is drawn one by one all the same
FEW = 3
WIDTH, HEIGHT, GAP, SPACE, TOP = 196, 42, 10, 44, 30
#: height of the picture that stands open without scrolling
FIRST_SIGHT = 600
#: letters that fit into a node
_LETTERS = 25


@dataclass
class Node:
    id: str
    kind: Kind
    label: str
    sub: str
    href: str
    #: what the pointer shows: everything that is cut off or grouped
    title: str

    x: int = 0
    y: int = 0

    @property
    def detail(self) -> str:
        """The title without the name that stands before it."""
        rest = self.title.removeprefix(f"{self.label}: ")
        return "" if rest == self.label else rest

    @property
    def shown(self) -> str:
        return _cut(self.label, _LETTERS)

    @property
    def shown_sub(self) -> str:
        return _cut(self.sub, _LETTERS + 4)


@dataclass(frozen=True)
class Line:
    source: Node
    target: Node

    @property
    def path(self) -> str:
        x1, y1 = self.source.x + WIDTH, self.source.y + HEIGHT // 2
        x2, y2 = self.target.x, self.target.y + HEIGHT // 2
        middle = (x1 + x2) // 2
        return f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"


@dataclass(frozen=True)
class Head:
    x: int
    label: str


@dataclass
class Graph:
    nodes: dict[str, Node] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)

    def add(self, node: Node) -> Node:
        return self.nodes.setdefault(node.id, node)

    def join(self, source: Node, target: Node) -> None:
        if all((line.source.id, line.target.id) != (source.id, target.id) for line in self.lines):
            self.lines.append(Line(source, target))

    def of(self, kind: Kind) -> list[Node]:
        return [node for node in self.nodes.values() if node.kind == kind]

    @property
    def width(self) -> int:
        return len(KINDS) * WIDTH + (len(KINDS) - 1) * SPACE + 2

    @property
    def height(self) -> int:
        most = max((len(self.of(kind)) for kind in KINDS), default=0)
        return TOP + max(most, 1) * (HEIGHT + GAP)

    @property
    def heads(self) -> list[Head]:
        words = [_("Source tables"), _("Feature set"), _("Features"), _("Models"), _("Endpoints")]
        return [Head(1 + index * (WIDTH + SPACE), word) for index, word in enumerate(words)]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The same as a table: each node with what it leads to."""
        return [
            {"node": node, "to": [line.target for line in self.lines if line.source.id == node.id]}
            for node in self.nodes.values()
        ]

    def place(self) -> Graph:
        """Columns from left to right, each in the middle of the picture's height."""
        for index, kind in enumerate(KINDS):
            column = self.of(kind)
            # the middle of what one sees first, where the picture is taller than the screen
            room = max(min(self.height, FIRST_SIGHT) - TOP - len(column) * (HEIGHT + GAP), 0)
            for place, node in enumerate(column):
                node.x = 1 + index * (WIDTH + SPACE)
                node.y = TOP + room // 2 + place * (HEIGHT + GAP)
        return self


def graph_of(feature_set: FeatureSet) -> Graph:
    """Source tables, the version, its features, the models that pin it, their endpoints."""
    features = list(feature_set.features.prefetch_related("sources"))
    uses = [use for use in all_uses().get(feature_set.name, []) if feature_set.version in use.pins]
    graph = Graph()
    hub = _set_node(feature_set)
    for table in _tables(graph, feature_set, features):
        graph.join(table, hub)
    graph.add(hub)
    drawn = _feature_nodes(feature_set, features, uses)
    for node, _models in drawn:
        graph.join(hub, graph.add(node))
    for use in uses:
        model = graph.add(_model_node(use, feature_set.version))
        for node, models in drawn:
            if use.model.pk in models:
                graph.join(node, model)
        for endpoint in use.endpoints:
            graph.join(model, graph.add(_endpoint_node(endpoint)))
    return graph.place()


def _tables(graph: Graph, feature_set: FeatureSet, features: list[Feature]) -> Iterator[Node]:
    """The tables that the query reads, with how many of their columns it needs."""
    columns: dict[str, set[str]] = {str(table): set() for table in feature_set.source_tables}
    for feature in features:
        for source in feature.sources.all():
            columns.setdefault(source.table, set()).add(source.column)
    for row in feature_set.row_sources.all():
        columns.setdefault(row.table, set()).add(row.column)
    for table, names in columns.items():
        n = len(names)
        sub = ngettext("%(n)s column", "%(n)s columns", n) % {"n": n} if n else ""
        href = f"{reverse('features:breaks')}?{urlencode({'table': table})}"
        title = f"{table}: {', '.join(sorted(names))}" if names else table
        yield graph.add(Node(f"table-{table}", "table", table, sub, href, title))


def _set_node(held: FeatureSet) -> Node:
    version = "" if held.is_current else f"?version={held.version}"
    href = f"{held.get_absolute_url()}{version}"
    return Node(f"set-{held.pk}", "set", held.name, f"v{held.version} · {held.entity}", href, held.title)


def _feature_nodes(
    held: FeatureSet, features: list[Feature], uses: list[Use]
) -> list[tuple[Node, tuple[int, ...]]]:
    """A node with the keys of the models that take it: one for each feature, or for each group."""
    groups: dict[tuple[int, ...], list[Feature]] = {}
    for feature in features:
        models = tuple(use.model.pk for use in uses if feature.name in use.pins[held.version].columns)
        groups.setdefault(models, []).append(feature)
    is_grouped = len(features) > MANY
    drawn = []
    # what models take comes first, what none takes last
    for models, members in sorted(groups.items(), key=lambda item: (not item[0], -len(item[0]))):
        if is_grouped and len(members) > FEW:
            drawn.append((_group_node(held, members, models), models))
        else:
            drawn += [(_feature_node(held, feature), models) for feature in members]
    return drawn


def _feature_node(held: FeatureSet, feature: Feature) -> Node:
    version = "" if held.is_current else f"?version={held.version}"
    href = f"{reverse('features:detail', args=[held.name, feature.name])}{version}"
    sources = ", ".join(str(source) for source in feature.sources.all())
    title = f"{feature.name}: {sources}" if sources else feature.name
    return Node(f"feature-{feature.pk}", "feature", feature.name, sources or feature.dtype, href, title)


def _group_node(held: FeatureSet, members: list[Feature], models: tuple[int, ...]) -> Node:
    names = ", ".join(feature.name for feature in members)
    label = ngettext("%(n)s feature", "%(n)s features", len(members)) % {"n": len(members)}
    if not models:
        label = _("%(features)s in no model") % {"features": label}
    version = "" if held.is_current else f"?version={held.version}"
    href = f"{held.get_absolute_url()}{version}#features"
    return Node(f"group-{members[0].pk}", "feature", label, names, href, names)


def _model_node(use: Use, version: int) -> Node:
    labels = [label or _("definition") for label in use.pins[version].labels]
    n = len(use.pins[version].columns)
    sub = ngettext("%(n)s column", "%(n)s columns", n) % {"n": n} + " · " + ", ".join(labels)
    model = use.model
    return Node(f"model-{model.pk}", "model", model.name, sub, model.get_absolute_url(), model.title)


def _endpoint_node(endpoint: Any) -> Node:
    return Node(
        f"endpoint-{endpoint.pk}",
        "endpoint",
        endpoint.name,
        "",
        endpoint.get_absolute_url(),
        endpoint.name,
    )


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
