"""The request of a run, checked before anything is sent: a report, and values for its parameters."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_pushmetrics.client import reports
from airflow_provider_pushmetrics.client.calls import CheckedParameters, check_parameters
from airflow_provider_pushmetrics.client.models import Report
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.waits import RunTarget
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConfigurationError,
    PushMetricsError,
    PushMetricsParameterError,
)
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.tasks.failures import PushMetricsUnknownParameters

PARAMETER = "parameter"
DIGEST_LENGTH = 48


@dataclass(frozen=True)
class RunRequest:
    """
    A report to run.

    :param report_id: The report, as in its webhook URL.
    :param parameters: Values for its parameters, which can be sent as JSON.
    """

    report_id: str
    parameters: CheckedParameters

    def compute_digest(self, trigger_token: str) -> str:
        """
        Compute the digest of the parameters: whether another rendering of the task gave the same ones.

        :param trigger_token: The token of the report's trigger. Airflow shows the digest to its users, who
            could otherwise guess a parameter with few possible values by it.
        """
        text = json.dumps(self.parameters, sort_keys=True)
        return hmac.new(trigger_token.encode(), text.encode(), "sha256").hexdigest()[:DIGEST_LENGTH]

    def find_sent(self, target: RunTarget, trigger_token: str | None) -> CheckedParameters | None:
        """
        Find the parameters that a run was started with; None if they may be others than these.

        :param trigger_token: The token of the report's trigger; None if the connection no longer has one.
        """
        if trigger_token is None:
            return None
        return self.parameters if self.compute_digest(trigger_token) == target.parameters_digest else None


def read_request(report_id: object, parameters: Any, templates: Any) -> RunRequest:
    """
    Check the rendered arguments of a task.

    :param templates: The parameters before they were rendered.
    :raises PushMetricsParameterError: if they cannot be sent.
    """
    text = str(report_id).strip()
    if text in ("", "None", ".", ".."):
        raise PushMetricsParameterError(
            f"report_id is {report_id!r}: it must be a report's id, as in its webhook URL."
        )
    if isinstance(templates, Mapping):  # a single template must render to a dictionary
        parameters = restore_none(parameters, templates)
    return RunRequest(text, check_parameters(parameters))


def restore_none(rendered: Any, template: Any) -> Any:
    """
    Restore None where a template rendered to None: Airflow renders it as the text ``None``.

    Text that no template rendered is kept, including the text ``None``.
    """
    if isinstance(template, str):
        is_made = isinstance(rendered, str) and rendered != template
        return None if is_made and rendered.strip() == "None" else rendered
    if isinstance(template, Mapping) and isinstance(rendered, Mapping):
        return {name: restore_none(value, template.get(name)) for name, value in rendered.items()}
    are_lists = isinstance(template, list | tuple) and isinstance(rendered, list | tuple)
    if are_lists and len(template) == len(rendered):
        return [restore_none(*pair) for pair in zip(rendered, template, strict=True)]
    return rendered


def check_parameter_names(
    hook: PushMetricsHook, request: RunRequest, log: Any, *, is_strict: bool = False
) -> None:
    """
    Warn of parameters that the report does not have: its run would use defaults instead.

    :param is_strict: Whether they raise an error.
    :raises PushMetricsUnknownParameters: if there are any, and ``is_strict``.
    """
    if not request.parameters:
        return
    try:
        unknown = _find_unknown_parameters(hook, request)
    except PushMetricsError as error:
        if is_strict:
            raise
        log.info("The names of the parameters were not checked: %s", error)
        return
    if unknown is None:
        return
    if is_strict:
        raise PushMetricsUnknownParameters(
            f"{unknown} The report was not run (strict_parameters), and the task is not retried."
        )
    log.warning("%s Its run uses defaults; strict_parameters=True fails before the run", unknown)


def _find_unknown_parameters(hook: PushMetricsHook, request: RunRequest) -> str | None:
    if not hook.settings.api_token:
        raise PushMetricsConfigurationError(
            f"connection {hook.pushmetrics_conn_id!r} has no API token to list the parameters of report"
            f" {request.report_id!r}: set its password."
        )
    call = reports.fetch_report(hook.credentials, request.report_id, ONE_ATTEMPT)
    return describe_unknown_parameters(request, hook.call(call))


def describe_unknown_parameters(request: RunRequest, report: Report) -> str | None:
    """
    Describe which parameters the report does not have; None if it has all.

    :raises PushMetricsParameterError: if the server does not list the report's blocks.
    """
    if report.blocks is None:
        raise PushMetricsParameterError(
            f"PushMetrics does not list the blocks of report {request.report_id!r}, so the names of the"
            " parameters cannot be checked."
        )
    known = [block.name for block in report.blocks if block.type == PARAMETER and block.name]
    unknown = [name for name in request.parameters if name not in known]
    if not unknown:
        return None
    return (
        f"report {request.report_id!r} has no Parameter block called {', '.join(map(repr, unknown))}; it has"
        f" {', '.join(map(repr, known)) or 'none'}."
    )
