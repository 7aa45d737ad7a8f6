"""Series and labels that a PromQL query uses, read with Prometheus' own grammar."""

import re
from collections.abc import Iterator, Mapping

import promql_parser as promql

_GRAFANA = {"$__rate_interval": "5m"}
_LABEL_VALUES = re.compile(r"label_values\((?P<series>.+), *(?P<label>\w+)\)")
"""Grafana's own syntax for the values of a dashboard variable."""


class QueryError(Exception):
    """A query uses an unknown series or label."""


def parse(text: str) -> promql.Expr:
    """Parse the query of a rule or a dashboard; raises ValueError."""
    for variable, value in _GRAFANA.items():
        text = text.replace(variable, value)
    if values := _LABEL_VALUES.fullmatch(text):
        text = f"sum by ({values['label']}) ({values['series']})"
    return promql.parse(text)


def nodes(query: promql.Expr) -> Iterator[promql.Expr]:
    """Yield every node of a query."""
    found: list[promql.Expr] = []
    promql.walk(query, found.append)
    yield from found


def series_of(query: promql.Expr) -> set[str]:
    """Return the names of the series that a query selects."""
    vectors = [n for n in map(_vector, nodes(query)) if n is not None]
    return {str(vector.name) for vector in vectors}


def labels_of(query: promql.Expr, known: Mapping[str, set[str]]) -> set[str]:
    """Return the labels of the query's result.

    known: the labels of every series, by name. Raises QueryError for an unknown series, or a label
    that its operand does not have.
    """
    if vector := _vector(query):
        return _selected(vector, known)
    match query:
        case promql.AggregateExpr():
            labels = set(query.modifier.labels) if query.modifier else set()
            return _within(labels, labels_of(query.expr, known), query)
        case promql.Call():
            return _called(query, known)
        case promql.BinaryExpr():
            left, right = labels_of(query.lhs, known), labels_of(query.rhs, known)
            if query.modifier and (matching := query.modifier.matching):
                for side in (left, right):
                    _within(set(matching.labels), side, query)
            return left
        case promql.ParenExpr() | promql.UnaryExpr():
            return labels_of(query.expr, known)
        case promql.NumberLiteral() | promql.StringLiteral():
            return set()
        case _:
            raise QueryError(f"unexpected {query}")


def thresholds(query: promql.Expr) -> Iterator[tuple[str, float]]:
    """Yield series and threshold of each quantile that is compared with a number."""
    for node in nodes(query):
        if isinstance(node, promql.BinaryExpr) and isinstance(node.rhs, promql.NumberLiteral):
            left = node.lhs
            if isinstance(left, promql.Call) and left.func.name == "histogram_quantile":
                (name,) = series_of(left)
                yield name, node.rhs.val


def _vector(node: promql.Expr) -> promql.VectorSelector | None:
    if isinstance(node, promql.MatrixSelector):
        return node.vector_selector
    return node if isinstance(node, promql.VectorSelector) else None


def _selected(vector: promql.VectorSelector, known: Mapping[str, set[str]]) -> set[str]:
    labels = known.get(str(vector.name))
    if labels is None:
        raise QueryError(f"unknown series {vector.name}")
    _within({matcher.name for matcher in vector.matchers.matchers}, labels, vector)
    return labels


def _called(call: promql.Call, known: Mapping[str, set[str]]) -> set[str]:
    labels = set().union(*(labels_of(argument, known) for argument in call.args))
    if call.func.name == "histogram_quantile":
        _within({"le"}, labels, call)
        return labels - {"le"}
    if call.func.name == "label_replace":
        _, target, _, source, _ = call.args
        _within({source.val}, labels, call)
        return labels | {target.val}
    return labels


def _within(wanted: set[str], labels: set[str], where: promql.Expr) -> set[str]:
    if missing := wanted - labels:
        raise QueryError(f"unknown labels {sorted(missing)} in {where.prettify()}")
    return wanted
