"""Mail as it travels."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.notifications.mail import compose
from tests.fakes.notices import BROKEN, SUCCEEDED, make_mail


def test_mail_has_the_headers_of_an_automatic_message() -> None:
    message = compose(make_mail(), '"Reports, daily" <reports@example.com>')
    assert dict(message.items()) | {"Content-Type": ""} == {
        "From": '"Reports, daily" <reports@example.com>',
        "To": "ann@example.com",
        "Subject": "Departure delays: run 7 succeeded",
        "Date": "Sun, 01 Mar 2026 12:00:05 +0000",
        "Message-ID": "<mail123@example.com>",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
        "Content-Type": "",
    }


@pytest.mark.parametrize("notice", [SUCCEEDED, BROKEN])
def test_mail_says_the_same_as_text_and_as_html(notice: object) -> None:
    mail = make_mail(notice=BROKEN if notice is BROKEN else SUCCEEDED)
    wire = compose(mail, "reports@example.com").as_bytes()
    assert wire.isascii()
    assert max(map(len, wire.split(b"\r\n"))) <= 78
    parsed = message_from_bytes(wire, policy=default)
    text, html = parsed.get_body(("plain",)), parsed.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().splitlines() == mail.words.text.splitlines()
    assert html.get_content().splitlines() == mail.words.html.splitlines()
    assert parsed["Subject"] == mail.words.subject


def test_report_s_name_adds_no_header() -> None:
    parsed = message_from_bytes(compose(make_mail(notice=BROKEN), "a@b").as_bytes(), policy=default)
    assert parsed["Bcc"] is None
    assert parsed.get_all("To") == ["ann@example.com"]


def test_mail_to_more_than_one_is_refused() -> None:
    with pytest.raises(PushMetricsParameterError, match="is no mail address"):
        compose(make_mail("ann@example.com,bob@example.com"), "a@b")
