"""The list route and the get route of a resource, declared once for all resources."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

from fastapi import APIRouter, Depends, Query
from sqlalchemy import ColumnElement, Select
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import ExecutableOption

from airflow_provider_pushmetrics.service.accounts.authentication import Principal
from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Reference
from airflow_provider_pushmetrics.service.api.conventions.listing import (
    Listing,
    count_selected,
    parse_list_query,
)
from airflow_provider_pushmetrics.service.api.conventions.lookup import (
    Named,
    find_by_reference,
    select_in_workspace,
)
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    One,
    Page,
    RowWithId,
    build_one,
    build_page,
)
from airflow_provider_pushmetrics.service.models.row_counts import COUNTED, Counted, count_rows
from airflow_provider_pushmetrics.service.runtime import ServiceParts

Item = TypeVar("Item")

Q: TypeAlias = Annotated[str | None, Query(include_in_schema=False)]
"""The part of a list that is wanted; ``Listing.describe_query`` describes it."""


@dataclass(frozen=True)
class Viewer:
    """The caller, and the parts of the service that answers are built with."""

    caller: Principal
    parts: ServiceParts


@dataclass(frozen=True)
class Rows(Generic[Item]):
    """
    The rows of a table that a caller may see.

    :param select: Selects all of them.
    :param find: Finds one by its id or uid; raises 404 if there is none.
    :param count: Counts all of them without reading them; None if they are too few for that.
    """

    select: Callable[[Principal], Select[Item]]
    find: Callable[[Session, str, Principal], Item]
    count: Callable[[Session, Principal], int] | None = None


def rows_of(model: type[Named], *loads: ExecutableOption) -> Rows[Named]:
    """
    Give the rows of a table that are in the caller's workspace.

    :param loads: What is loaded with the rows of a list, instead of by a statement for each.
    """
    rows: Rows[Named] = Rows(
        select=lambda caller: select_in_workspace(model, caller).options(*loads),
        find=lambda session, reference, caller: find_by_reference(session, model, reference, caller),
    )
    kind = next((kind for kind in COUNTED if kind.__tablename__ == model.__tablename__), None)
    return rows if kind is None else replace(rows, count=partial(_count, kind))


def _count(kind: Counted, session: Session, caller: Principal) -> int:
    return count_rows(session, kind, caller.workspace_id)


async def narrow_nothing() -> Iterable[ColumnElement[bool]]:
    """Return no conditions."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Resource(Generic[Item]):
    """
    A kind of row that the API lists and shows.

    :param name: Its name in ids and descriptions of operations.
    :param plural: The same for several of them.
    :param rows: Where the rows come from.
    :param listing: The order and the filters of the list.
    :param build_row: Builds a row of the list.
    :param list_schema: The schema of the list.
    :param build_details: Builds the answer of the get route; by default the row of the list.
    :param schema: The schema of the get route.
    """

    name: str
    plural: str
    rows: Rows[Item]
    listing: Listing
    build_row: Callable[[Item, Viewer], RowWithId]
    list_schema: Any
    build_details: Callable[[Item, Viewer], RowWithId] | None = None
    schema: Any = None

    def add_routes(self, router: APIRouter) -> None:
        """Add the list route and the get route."""
        self.add_list(router)
        self.add_get(router)

    def add_list(self, router: APIRouter, narrow: Callable[..., Any] = narrow_nothing) -> None:
        """
        Add the list route.

        :param narrow: A dependency that returns more conditions, from its own query parameters.
        """

        def list_rows(
            parts: Parts, caller: Caller, q: Q = None, conditions: Any = Depends(narrow)
        ) -> Page[RowWithId]:
            with parts.database.reading() as session:
                wanted = parse_list_query(q)
                rows = self.listing.narrow(self.rows.select(caller).where(*conditions), wanted)
                if self.rows.count is None or conditions or wanted.filters:
                    count = count_selected(session, rows)
                else:
                    count = self.rows.count(session, caller)
                page = self.listing.fetch(session, rows, wanted)
                viewer = Viewer(caller, parts)
                return build_page(count, [self.build_row(row, viewer) for row in page])

        order = "newest" if self.listing.is_descending else "oldest"
        router.add_api_route(
            "/",
            list_rows,
            name=_join("list", self.plural),
            description=f"List the {self.plural} of the workspace, the {order} first.",
            response_model=self.list_schema,
            openapi_extra={"parameters": [self.listing.describe_query()]},
        )

    def add_get(self, router: APIRouter) -> None:
        build = self.build_details or self.build_row

        def get_row(reference: Reference, parts: Parts, caller: Caller) -> One[RowWithId]:
            with parts.database.reading() as session:
                item = self.rows.find(session, reference, caller)
                return build_one(build(item, Viewer(caller, parts)))

        router.add_api_route(
            "/{reference}",
            get_row,
            name=_join("get", self.name),
            description=f"Show one of the {self.plural} of the workspace.",
            response_model=self.schema,
        )


def _join(verb: str, noun: str) -> str:
    return f"{verb}_{noun.replace(' ', '_')}"
