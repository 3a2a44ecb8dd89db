"""What all routes have in common."""

from __future__ import annotations

from pathlib import Path

from fastapi.routing import APIRoute

from airflow_provider_pushmetrics.service.api.conventions.errors import ERRORS
from airflow_provider_pushmetrics.service.api.conventions.routers import name_operation
from airflow_provider_pushmetrics.service.app import create_app
from airflow_provider_pushmetrics.service.settings import ServiceSettings


def test_every_route_describes_the_errors_and_keeps_its_response(tmp_path: Path) -> None:
    routes = [route for route in create_app(ServiceSettings(tmp_path)).routes if isinstance(route, APIRoute)]
    assert len(routes) > 100
    for route in routes:
        assert set(route.responses) >= set(ERRORS), route.path
        assert route.dependencies, route.path
        assert route.generate_unique_id_function is name_operation, route.path
