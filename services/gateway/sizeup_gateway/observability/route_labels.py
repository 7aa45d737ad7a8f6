"""The `route` label of the metrics, from the routes of the application."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Route

_UNKNOWN_ROUTE = "other"


class RouteLabels:
    """Maps paths to a closed set of labels."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        known = [route for route in routes if isinstance(route, Route)]
        self._fixed = {route.path for route in known if not route.param_convertors}
        self._with_parameters = [route for route in known if route.param_convertors]

    def label(self, path: str) -> str:
        """Return the route's path, with parameter names in place of their values."""
        if path in self._fixed:
            return path
        for route in self._with_parameters:
            if route.path_regex.match(path):
                return route.path_format
        return _UNKNOWN_ROUTE
