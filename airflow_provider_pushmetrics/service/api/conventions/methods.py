"""The methods of a path. Each has its own route, and Starlette's 405 contains only those of the first."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope


def list_methods(routes: Iterable[BaseRoute], scope: Scope) -> list[str]:
    """
    List the methods of a request's path.

    Several paths of the routes can fit, such as ``/user/current`` and ``/user/{reference}``: the one with the
    fewest parameters counts.
    """
    fitting = [
        route for route in routes if isinstance(route, Route) and route.matches(scope)[0] != Match.NONE
    ]
    closest = min(fitting, key=lambda route: len(route.param_convertors)).path
    return sorted({method for route in fitting if route.path == closest for method in route.methods or ()})
