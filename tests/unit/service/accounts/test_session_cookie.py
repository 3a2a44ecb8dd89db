"""The cookie of a signed-in browser, and who may change something with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_pushmetrics.service.accounts.session_cookie import (
    clear_session,
    read_session,
    set_session,
)
from airflow_provider_pushmetrics.service.settings import ServiceSettings


def build_request(method: str = "POST", scheme: str = "http", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request(
        {
            "type": "http",
            "method": method,
            "scheme": scheme,
            "headers": raw,
            "path": "/",
            "server": ("h", 80),
            "query_string": b"",
        }
    )


def give_cookie(request: Request, public_url: str | None = None) -> str:
    response = Response()
    set_session(request, response, "jwt", ServiceSettings(Path("data"), public_url=public_url))
    return response.headers["set-cookie"]


def test_cookie_is_out_of_reach_of_scripts_and_other_sites() -> None:
    cookie = give_cookie(build_request())
    assert cookie == "pushmetrics_session=jwt; HttpOnly; Path=/; SameSite=strict"


def test_cookie_is_for_https_only_where_there_is_https() -> None:
    assert "Secure" in give_cookie(build_request(scheme="https"))
    assert "Secure" in give_cookie(build_request(), "https://push.example")
    assert "Secure" not in give_cookie(build_request(), "http://push.example")


def test_cookie_is_not_sent_to_neighbors_behind_the_same_proxy() -> None:
    assert "Path=/reports/;" in give_cookie(build_request(), "https://tools.example/reports/")


def test_cleared_cookie_is_the_one_that_was_set() -> None:
    response = Response()
    clear_session(response, ServiceSettings(Path("data"), public_url="https://tools.example/reports"))
    cookie = response.headers["set-cookie"]
    assert "Path=/reports/" in cookie
    assert "Max-Age=0" in cookie


def test_session_is_read_for_a_look_without_more() -> None:
    assert read_session(build_request("GET", cookie="pushmetrics_session=jwt")) == "jwt"
    assert read_session(build_request("GET")) is None


def test_change_without_a_session_is_not_ours_to_refuse() -> None:
    assert read_session(build_request("POST")) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_change_that_another_site_may_have_asked_for_is_refused(method: str) -> None:
    cookie = "pushmetrics_session=jwt"
    with pytest.raises(HTTPException, match="X-PushMetrics-App"):
        read_session(build_request(method, cookie=cookie))
    with pytest.raises(HTTPException, match="403"):
        read_session(build_request(method, cookie=cookie, x_pushmetrics_app="1", sec_fetch_site="same-site"))


def test_change_that_our_page_asks_for_is_accepted() -> None:
    headers = {"cookie": "pushmetrics_session=jwt", "x_pushmetrics_app": "1"}
    assert read_session(build_request("POST", **headers)) == "jwt"
    assert read_session(build_request("POST", **headers, sec_fetch_site="same-origin")) == "jwt"
