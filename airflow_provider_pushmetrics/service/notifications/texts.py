"""The texts of notifications of runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from html import escape

from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.service.models.statuses import FAILED, SUCCESS
from airflow_provider_pushmetrics.service.templates.markdown import escape_slack

OUTPUTS = "Outputs"
MAX_SUBJECT_LENGTH = 255
"""A longer subject is cut, and ends with an ellipsis."""

MAX_FAILURES = 10
MAX_NOTICE_ERROR_LENGTH = 500


class NotifyOn(Enum):
    """When recipients are notified."""

    SUCCESS = "success"
    FAILURE = "failure"
    BOTH = "both"

    def includes(self, status: str) -> bool:
        """Return whether recipients are notified of a final status. Cancelled runs are not notified."""
        return (status == SUCCESS and self is not NotifyOn.FAILURE) or (
            status == FAILED and self is not NotifyOn.SUCCESS
        )


@dataclass(frozen=True)
class FailedBlock:
    """A block that failed, and its error."""

    name: str
    error: str


@dataclass(frozen=True)
class RunNotice:
    """
    The data of a notification of a finished run.

    :param report_name: The report, or ``report / query`` for a standalone query run.
    :param run_id: The run.
    :param status: Its final status.
    :param origin: The kind of its start, such as ``schedule`` or ``webhook``.
    :param finished_on: When it ended.
    :param started_on: When it began, if it did.
    :param outputs_url: The URL of its outputs.
    :param error: Why it failed, if no block failed.
    :param failures: The blocks that failed, in the report's order.
    """

    report_name: str
    run_id: int
    status: str
    origin: str
    finished_on: datetime
    started_on: datetime | None = None
    outputs_url: str | None = None
    error: str | None = None
    failures: tuple[FailedBlock, ...] = ()


@dataclass(frozen=True)
class NoticeText:
    """
    The text of a mail.

    :param html: The same as HTML; None for a mail of plain text only.
    """

    subject: str
    text: str
    html: str | None = None


def build_text(notice: RunNotice) -> NoticeText:
    """Build the subject and the body of a mail about a finished run."""
    headline, facts, failures = _build_headline(notice), _list_facts(notice), _list_failures(notice)
    return NoticeText(build_subject(headline), *_write_bodies(headline, facts, failures))


def build_subject(text: str) -> str:
    """Build a subject: one line without control characters, of at most ``MAX_SUBJECT_LENGTH``."""
    return _cut(_put_on_one_line(text), MAX_SUBJECT_LENGTH)


def build_slack_text(notice: RunNotice) -> str:
    """
    Build a message about a finished run, in Slack's markup.

    Names are escaped, so that a report called ``<!channel>`` notifies nobody.
    """
    mark = ":white_check_mark:" if notice.status == SUCCESS else ":x:"
    lines = [f"{mark} *{escape_slack(_build_headline(notice))}*"]
    lines += [f"{label}: {escape_slack(value)}" for label, value in _list_facts(notice)]
    lines += [f"• `{escape_slack(name)}`: {escape_slack(error)}" for name, error in _list_failures(notice)]
    return "\n".join(lines)


def _write_bodies(
    headline: str, facts: list[tuple[str, str]], failures: list[tuple[str, str]]
) -> tuple[str, str]:
    width = max(len(label) for label, _ in facts) + 2
    lines = [headline, "", *(f"{label + ':':{width}}{value}" for label, value in facts)]
    html = [f"<h2>{escape(headline)}</h2>", "<table>"]
    html += [f"<tr><th>{label}</th><td>{_write_cell(label, value)}</td></tr>" for label, value in facts]
    html += ["</table>"]
    if failures:
        lines += ["", "What failed:", *(f"- {name}: {error}" for name, error in failures)]
        html += ["<h3>What failed</h3>", "<ul>"]
        html += [f"<li><b>{escape(name)}</b>: {escape(error)}</li>" for name, error in failures]
        html += ["</ul>"]
    return "\n".join(lines) + "\n", "\n".join(html) + "\n"


def _build_headline(notice: RunNotice) -> str:
    outcome = {SUCCESS: "succeeded", FAILED: "failed"}.get(notice.status, f"ended as {notice.status}")
    return f"{_put_on_one_line(notice.report_name)}: run {notice.run_id} {outcome}"


def _list_facts(notice: RunNotice) -> list[tuple[str, str]]:
    facts = [("Status", notice.status), ("Started by", notice.origin)]
    if notice.started_on is not None:
        facts.append(("Started", _format_time(notice.started_on)))
    facts.append(("Finished", _format_time(notice.finished_on)))
    if notice.started_on is not None:
        facts.append(("Took", _format_length((notice.finished_on - notice.started_on).total_seconds())))
    if notice.error:
        facts.append(("Error", _cut(redact(_put_on_one_line(notice.error)), MAX_NOTICE_ERROR_LENGTH)))
    if notice.outputs_url:
        facts.append((OUTPUTS, notice.outputs_url))
    return facts


def _list_failures(notice: RunNotice) -> list[tuple[str, str]]:
    """List the first failed blocks, redacted: a database may repeat credentials in its error."""
    shown = [
        (_put_on_one_line(block.name), _cut(redact(_put_on_one_line(block.error)), MAX_NOTICE_ERROR_LENGTH))
        for block in notice.failures[:MAX_FAILURES]
    ]
    hidden = len(notice.failures) - len(shown)
    return [*shown, ("…", f"and {hidden} more")] if hidden else shown


def _put_on_one_line(text: str) -> str:
    """Remove line breaks and control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _format_time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _format_length(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _write_cell(label: str, value: str) -> str:
    text = escape(value)
    return f'<a href="{text}">{text}</a>' if label == OUTPUTS else text
