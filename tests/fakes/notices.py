"""Runs to tell of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow_provider_pushmetrics.service.notifications.mail import Mail
from airflow_provider_pushmetrics.service.notifications.recipients import parse_recipient
from airflow_provider_pushmetrics.service.notifications.texts import FailedBlock, RunNotice, build_text

FINISHED = datetime(2026, 3, 1, 12, 0, 5, 500_000, tzinfo=UTC)

SUCCEEDED = RunNotice(
    report_name="Departure delays",
    run_id=7,
    status="success",
    origin="webhook",
    started_on=FINISHED - timedelta(seconds=5.5),
    finished_on=FINISHED,
    outputs_url="https://push.example/api/reports/1/run/7",
)

BROKEN = RunNotice(
    report_name="Départ <b>&\r\nBcc: all@example.com",
    run_id=8,
    status="failed",
    origin="schedule",
    started_on=FINISHED - timedelta(hours=2, minutes=3, seconds=4),
    finished_on=FINISHED,
    outputs_url="https://push.example/api/reports/1/run/8",
    failures=(
        FailedBlock("by_carrier", "no such column: <script>x</script>\nLINE 1"),
        FailedBlock("worst", "cannot connect to postgresql://user:pa55word@db/x"),
    ),
)


def make_mail(recipient: str = "ann@example.com", notice: RunNotice = SUCCEEDED) -> Mail:
    return Mail("mail123", parse_recipient(recipient), build_text(notice), FINISHED)
