"""Whatever is sent to the API by its own description: no fault of ours, and no answer but those described."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from tests.fakes.service_process import API_TOKEN, ServiceProcess, run_service
from tests.integration.service.conftest import Api

EXAMPLES = int(os.environ.get("PUSHMETRICS_FUZZ_EXAMPLES", "4"))
"""For each operation; the variable asks for a longer run."""


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """Give a service that nobody else needs: its reports are changed and deleted."""
    with run_service(tmp_path_factory.mktemp("fuzzed")) as service:
        service.wait_until_ready()
        yield service


@pytest.fixture(scope="module")
def description(fuzzed: ServiceProcess) -> Any:
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{fuzzed.port}/openapi.json")


def attack(operation: Any) -> None:
    """Send what fits an operation's description, and what nearly does."""

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def send(case: Any) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {API_TOKEN}"})
        checks = [not_a_server_error, status_code_conformance, response_schema_conformance]
        case.validate_response(answer, checks=checks)

    send()


def test_every_answer_is_one_that_the_description_names(description: Any) -> None:
    operations = [found.ok() for found in description.get_all_operations()]
    assert len(operations) > 60
    failures = []
    for operation in operations:
        try:
            attack(operation)
        except Exception as error:  # all of them are shown, and not the first alone
            failures.append(f"{operation.label}: {str(error)[:1500]}")
    assert failures == [], "\n\n".join(failures)


def test_description_has_examples_and_says_who_may_ask(served: ServiceProcess) -> None:
    document = httpx.get(f"http://127.0.0.1:{served.port}/openapi.json", trust_env=False).json()
    schemas = document["components"]["schemas"]
    assert schemas["NewReport"]["examples"][0]["name"] == "Orders"
    assert document["components"]["securitySchemes"]["ApiToken"]["scheme"] == "bearer"
    operation = document["paths"]["/api/v1/report/"]["post"]
    assert operation["security"] == [{"ApiToken": []}]
    assert operation["responses"]["401"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "ErrorResponse"
    )
    trigger = document["paths"]["/api/v1/report/{reference}/webhook"]["post"]
    assert trigger["security"] == [{"TriggerToken": []}]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_no_page_loads_scripts_of_others(api: Api, path: str) -> None:
    assert "cdn" not in (await api.client.get(path)).text
    assert (await api.client.get("/openapi.json")).status_code == 200
