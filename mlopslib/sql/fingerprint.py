"""One hash for queries that say the same in other words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from sqlglot import exp

from mlopslib.sql.guard import guard_select
from mlopslib.sql.render import parameters_in, render_sql

_COMMUTATIVE = (exp.Add, exp.Mul, exp.EQ, exp.NEQ, exp.NullSafeEQ)


def fingerprint(sql: str) -> str:
    """SHA-256 of a query's normalised tree.

    Letter case of names, spaces, comments, brackets, the names of aliases, the order of AND and OR
    terms, of both sides of ``=``, of the output columns and of plain joins do not matter; ``BETWEEN``
    is its two comparisons, a WITH query is the subquery in its place. Date parameters stay as they are:
    ``'{base_ym}'`` is not ``'{bf_1m_ym}'``.

    Raises
    ------
    SqlRejected
        If the guard refuses the text.

    Examples
    --------
    >>> a = "SELECT t.id, SUM(amt) AS total FROM txn t WHERE t.ym = '{base_ym}' AND amt > 0 GROUP BY t.id"
    >>> b = "select sum(x.amt) s, id from TXN x where 0 < x.amt and '{base_ym}' = ym group by id"
    >>> fingerprint(a) == fingerprint(b)
    True
    """
    # a parameter may stand inside or outside of quotes: a number that nobody writes holds its place
    names = {name: f"99{_digits(name)}" for name in parameters_in(sql)}
    tree = guard_select(render_sql(sql, names))
    words = _query(tree, {}, {}, is_outermost=True)
    return hashlib.sha256(words.encode()).hexdigest()


def _digits(name: str) -> str:
    return f"{int(hashlib.sha256(name.lower().encode()).hexdigest(), 16) % 10**6:06d}"


Names = Mapping[str, str]


def _query(node: exp.Expr, ctes: Names, outer: Names, *, is_outermost: bool = False) -> str:
    known = dict(ctes)
    with_ = node.args.get("with_")
    for cte in with_.expressions if with_ else ():
        known[cte.alias.lower()] = _query(cte.this, known, outer)
    if isinstance(node, exp.Subquery):
        return _query(node.this, known, outer, is_outermost=is_outermost)
    if isinstance(node, exp.SetOperation):
        sides = [_query(side, known, outer) for side in (node.left, node.right)]
        if isinstance(node, exp.Union | exp.Intersect):
            sides.sort()
        return f"{type(node).__name__}[{bool(node.args.get('distinct'))}]({', '.join(sides)})"
    return _select(node, known, outer, is_outermost=is_outermost)


def _select(node: exp.Expr, ctes: Names, outer: Names, *, is_outermost: bool) -> str:
    first = node.args.get("from_")
    joins = node.args.get("joins") or []
    items = [first.this] if first else []
    items += [join.this for join in joins]
    written = [_source(item, ctes, outer) for item in items]
    aliases = dict(outer)
    for item, name in zip(items, written, strict=True):
        number = sum(other == name for other in aliases.values())
        aliases[item.alias_or_name.lower()] = name if not number else f"{name}#{number + 1}"
    only = written[0] if len(items) == 1 else ""
    words = _Words(ctes, aliases, only)
    is_plain = [not join.side and join.kind in {"", "INNER", "CROSS"} for join in joins]
    terms = list(words.terms(node.args["where"].this)) if node.args.get("where") else []
    parts = []
    if all(is_plain):
        # ON of a plain join says the same as WHERE, and the order of the tables nothing
        for join in joins:
            terms += words.terms(join.args["on"]) if join.args.get("on") else []
            terms += [f"using {name}" for name in words.using(join)]
        parts.append(f"from {sorted(written)}")
    else:
        parts.append(f"from {written[:1]}")
        for join, name in zip(joins, written[1:], strict=True):
            on = sorted(words.terms(join.args["on"])) if join.args.get("on") else words.using(join)
            parts.append(f"{join.side} {join.kind} {name} on {on}")
    outputs = [words.of(item) for item in node.expressions]
    parts.insert(0, f"select {sorted(outputs) if is_outermost else outputs}")
    parts.append(f"where {sorted(set(terms))}")
    for part, value in sorted(node.args.items()):
        if part in {"from_", "joins", "where", "expressions", "with_", "kind"} or not value:
            continue
        if part == "group":
            parts.append(f"group {_group(value, node, words)}")
        elif isinstance(value, exp.Expr):
            parts.append(f"{part} {words.of(value)}")
    return " ".join(parts)


def _group(group: exp.Expr, select: exp.Expr, words: _Words) -> list[str]:
    """The terms of GROUP BY; a number means the output at its place."""
    found = []
    for item in group.args.get("expressions") or ():
        is_place = isinstance(item, exp.Literal) and not item.is_string and item.name.isdigit()
        if is_place and 1 <= int(item.name) <= len(select.expressions):
            item = select.expressions[int(item.name) - 1]
        found.append(words.of(item))
    others = [
        f"{part}: {words.of(value)}"
        for part, values in group.args.items()
        if part != "expressions"
        for value in (values if isinstance(values, list) else [values])
        if isinstance(value, exp.Expr)
    ]
    return sorted(set(found)) + others


def _source(item: exp.Expr, ctes: Names, outer: Names) -> str:
    if isinstance(item, exp.Table):
        name = ".".join(part.name for part in item.parts).lower()
        return f"({ctes[name]})" if name in ctes else name
    return f"({_query(item, ctes, outer)})"


class _Words:
    """Expressions of one SELECT as texts without the names that their author chose."""

    def __init__(self, ctes: Names, aliases: Names, only: str) -> None:
        self._ctes, self._aliases, self._only = ctes, aliases, only

    def terms(self, node: exp.Expr, kind: type[exp.Expr] = exp.And) -> Iterator[str]:
        if isinstance(node, exp.Paren):
            yield from self.terms(node.this, kind)
        elif isinstance(node, kind):
            yield from self.terms(node.args["this"], kind)
            yield from self.terms(node.args["expression"], kind)
        elif isinstance(node, exp.Between) and kind is exp.And and not node.args.get("symmetric"):
            value = self.of(node.this)
            yield f"LTE({self.of(node.args['low'])}, {value})"
            yield f"LTE({value}, {self.of(node.args['high'])})"
        else:
            yield self.of(node)

    def using(self, join: exp.Expr) -> list[str]:
        return sorted(item.name.lower() for item in join.args.get("using") or ())

    def of(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Paren | exp.Alias):
            return self.of(node.this)
        if isinstance(node, exp.Query):
            return f"({_query(node, self._ctes, self._aliases)})"
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, exp.And | exp.Or | exp.Between):
            kind = exp.Or if isinstance(node, exp.Or) else exp.And
            return f"{kind.__name__}({', '.join(sorted(set(self.terms(node, kind))))})"
        if isinstance(node, exp.Literal):
            return repr(node.name) if node.is_string else node.name
        if isinstance(node, exp.Identifier):
            return node.name.lower()
        if isinstance(node, exp.GT | exp.GTE | exp.LT | exp.LTE):
            sides = [self.of(node.args["this"]), self.of(node.args["expression"])]
            if isinstance(node, exp.GT | exp.GTE):
                sides.reverse()
            return f"{'LT' if isinstance(node, exp.GT | exp.LT) else 'LTE'}({', '.join(sides)})"
        values = [
            f"{part}={text}" for part, value in sorted(node.args.items()) if (text := self._value(value))
        ]
        if isinstance(node, _COMMUTATIVE):
            values = sorted(self._value(value) for value in node.args.values())
        return f"{type(node).__name__}({', '.join(values)})"

    def _value(self, value: object) -> str:
        if isinstance(value, exp.Expr):
            return self.of(value)
        if isinstance(value, list):
            return f"[{', '.join(self._value(item) for item in value)}]" if value else ""
        return "" if value is None or value is False else str(value).lower()

    def _column(self, node: exp.Column) -> str:
        name = "*" if isinstance(node.this, exp.Star) else node.name.lower()
        source = self._aliases.get(node.table.lower(), node.table.lower()) if node.table else self._only
        return f"{source}.{name}" if source else name
