"""The errors that any operation may answer, for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Responses: TypeAlias = dict[int | str, dict[str, Any]]
"""What FastAPI takes as descriptions of answers, by status."""

ERRORS = {
    400: "An argument is not valid",
    401: "The credential is missing, invalid, expired or revoked",
    403: "The credential is not allowed to do this, or the trigger is disabled",
    404: "Not found in this workspace",
    406: "The result is not available in the requested format",
    409: "The request conflicts with the current state",
    413: "The body is too large",
    422: "The body is not valid",
    429: "Too many requests; the header `Retry-After` says when to try again",
    503: "The database or the worker is not available",
}


class ErrorResponse(BaseModel):
    """
    An error.

    A model, since its schema is built once; that of a ``TypedDict`` is built for each description.
    """

    model_config = ConfigDict(use_attribute_docstrings=True, json_schema_extra={"description": "An error."})

    message: Annotated[str, Field(examples=["Not found"])]
    """One sentence."""


def describe_errors() -> Responses:
    return {status: {"model": ErrorResponse, "description": text} for status, text in ERRORS.items()}
