"""The routers of the service, with what all of its routes have in common."""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute

from airflow_provider_pushmetrics.service.api.conventions.errors import describe_errors
from airflow_provider_pushmetrics.serving.http.compression import NO_TRANSFORM


async def _keep_response(request: Request, response: Response) -> None:
    """Store the response that a route changes, for the error handlers."""
    request.state.response = response


async def _forbid_compression(response: Response) -> None:
    response.headers["Cache-Control"] = f"no-store, {NO_TRANSFORM}"


def name_operation(route: APIRoute) -> str:
    """Give an operation its id: the name of its function."""
    return route.name


def make_router(
    prefix: str = "",
    tag: str | None = None,
    route_class: type[APIRoute] = APIRoute,
    *,
    has_secrets: bool = False,
) -> APIRouter:
    """
    Make a router.

    :param tag: The tag of its routes in the OpenAPI document; None leaves them out of it.
    :param route_class: Makes its routes.
    :param has_secrets: Whether answers to GET contain secrets, so that nothing may compress them.
    """
    dependencies = [Depends(_keep_response)]
    if has_secrets:
        dependencies.append(Depends(_forbid_compression))
    return APIRouter(
        prefix=prefix,
        tags=[tag] if tag else None,
        include_in_schema=tag is not None,
        dependencies=dependencies,
        route_class=route_class,
        responses=describe_errors(),
        generate_unique_id_function=name_operation,
    )


def add_routes(app: FastAPI, *routers: APIRouter) -> None:
    """
    Add the routes of routers to an application.

    ``include_router`` would build each of them again, schemas included, which takes a second.
    """
    for router in routers:
        app.router.routes.extend(router.routes)
