"""Mail as it travels."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes
from email.policy import default

import pytest

from airflow_provider_pushmetrics.service.notifications.mail import MailFile, compose
from airflow_provider_pushmetrics.service.notifications.texts import NoticeText
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
    assert html.get_content().splitlines() == str(mail.words.html).splitlines()
    assert parsed["Subject"] == mail.words.subject


def test_report_s_name_adds_no_header() -> None:
    parsed = message_from_bytes(compose(make_mail(notice=BROKEN), "a@b").as_bytes(), policy=default)
    assert parsed["Bcc"] is None
    assert parsed.get_all("To") == ["ann@example.com"]


def test_name_of_a_recipient_adds_no_header() -> None:
    mail = make_mail("Ann Bcc: x@y.de, Lee <ann@example.com>")
    parsed = message_from_bytes(compose(mail, "a@b").as_bytes(), policy=default)
    assert parsed["Bcc"] is None
    assert [one.addr_spec for one in parsed["To"].addresses] == ["ann@example.com"]
    assert parsed["To"].addresses[0].display_name == "Ann Bcc: x@y.de, Lee"


def test_mail_without_html_is_plain_text_only() -> None:
    mail = replace(make_mail(), words=NoticeText("s", "line 1\n  line 2\n"))
    parsed = message_from_bytes(compose(mail, "a@b").as_bytes(), policy=default)
    assert parsed.get_content_type() == "text/plain"
    assert parsed.get_payload(decode=True) == b"line 1\r\n  line 2\r\n"


def test_picture_stands_beside_the_html_that_shows_it() -> None:
    words = NoticeText("s", "t", '<img src="cid:p1@x">')
    files = (MailFile("p.png", "image/png", b"png", "p1@x"), MailFile("a.csv", "text/csv", b"a"))
    parsed = message_from_bytes(
        compose(replace(make_mail(), words=words, files=files), "a@b").as_bytes(), policy=default
    )
    kinds = [part.get_content_type() for part in parsed.walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "text/csv",
    ]
    picture = next(part for part in parsed.walk() if part.get_content_type() == "image/png")
    assert (picture["Content-ID"], picture.get_content_disposition()) == ("<p1@x>", "inline")
    assert [one.get_filename() for one in parsed.iter_attachments()] == ["a.csv"]
