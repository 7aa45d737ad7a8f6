"""The `route` label of the metrics, from the routes of the application."""

from collections.abc import Callable, Iterable

from starlette.routing import BaseRoute, Route

_UNKNOWN_ROUTE = "other"


def route_labels(routes: Iterable[BaseRoute]) -> Callable[[str], str]:
    """Return what maps a path to its route, with parameter names in place of their values."""
    known = [route for route in routes if isinstance(route, Route)]
    fixed = {route.path for route in known if not route.param_convertors}
    with_parameters = [route for route in known if route.param_convertors]

    def label(path: str) -> str:
        if path in fixed:
            return path
        matching = (route.path_format for route in with_parameters if route.path_regex.match(path))
        return next(matching, _UNKNOWN_ROUTE)

    return label
