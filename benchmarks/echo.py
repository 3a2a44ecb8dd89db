"""The limit to compare with: a Starlette route that reads the body and stores nothing."""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def echo(request: Request) -> JSONResponse:
    """Answer as the receiver does."""
    await request.body()
    return JSONResponse({"id": 1, "outcome": "accepted"}, status_code=202)


app = Starlette(routes=[Route("/webhooks/bench", echo, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
