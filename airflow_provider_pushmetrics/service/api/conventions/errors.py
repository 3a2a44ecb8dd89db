"""What the API's description says beside what the routes say themselves."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class ErrorAnswer(BaseModel):
    """Every error: one sentence."""

    message: str


def describe_errors() -> dict[int | str, dict[str, Any]]:
    """Describe the errors that any route may answer."""
    reasons = {
        400: "An argument is not correct",
        401: "The credential is missing, wrong, expired or revoked",
        403: "It is not allowed, or disabled",
        404: "There is no such thing in this workspace",
        406: "It cannot be had in this format",
        409: "It contradicts what is stored",
        413: "The body is too large",
        422: "The body is not what is wanted",
        429: "Too many requests; Retry-After says when to try again",
        503: "The database does not answer",
    }
    return {status: {"model": ErrorAnswer, "description": reason} for status, reason in reasons.items()}
