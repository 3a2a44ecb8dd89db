from __future__ import annotations

from typing import Any

from airflow_provider_pushmetrics.notifications.pushmetrics import PushMetricsNotifier


def test_everything_that_a_notifier_takes_is_templated() -> None:
    assert PushMetricsNotifier.template_fields == ("report_id", "parameters", "pushmetrics_conn_id")


def test_templates_are_filled_in_from_the_callbacks_context() -> None:
    notifier = PushMetricsNotifier(
        report_id="{{ report }}", parameters={"dag": "{{ name }}", "n": 2}, pushmetrics_conn_id="{{ conn }}"
    )
    context: Any = {"report": "7", "name": "a_dag", "conn": "other", "dag": None}
    notifier.render_template_fields(context)
    assert (notifier.report_id, notifier.parameters) == ("7", {"dag": "a_dag", "n": 2})
    assert notifier.hook.pushmetrics_conn_id == "other"
