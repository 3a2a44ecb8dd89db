"""Mail as it travels."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import default
from email.utils import parseaddr

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


WORDS = (
    "=?utf-8?q?x=0D=0ABcc:=20evil@x.com=0D=0A=0D=0Aphish?=",
    "=?utf-8?q?a=2Cb=3Cevil=40x=2Ecom=3E?=",
    "=?utf-8?q?hello?= world",
    "Über 1.000 €, Prüfung für Müller: Größe, Stärke, Länge und Wärme im Überblick der Woche",
    "Отчёт за неделю: продажи (Москва) и возвраты [итог] за март 2026 года, подробности",
    "a" * 200,
    "a  b " * 20 + "c",
    "日本" * 60,
    'Lee, "Ann" <x@example.com>',
    "",
)


@pytest.mark.parametrize("text", WORDS)
def test_subject_and_name_arrive_as_they_are(text: str) -> None:
    mail = make_mail()
    recipient = replace(mail.recipient, name=text)
    mail = replace(mail, words=NoticeText(text, "t"), recipient=recipient)
    wire = compose(mail, "a@example.com").as_bytes()
    parsed = message_from_bytes(wire, policy=default)
    usual = compose(replace(mail, words=NoticeText("s", "t")), "a@example.com")
    assert parsed.keys() == usual.keys()
    assert parsed["Subject"] == text
    assert parsed["Bcc"] is None
    assert [one.addr_spec for one in parsed["To"].addresses] == [mail.recipient.address]
    # Python's own parser of addresses puts a space between two encoded words, against RFC 2047.
    raw = message_from_bytes(wire)["To"].replace("\r\n", "").rpartition(" <")[0]
    name = str(make_header(decode_header(raw))) if "=?" in raw else parseaddr(f"{raw} <a@b>")[0]
    assert name == text
    assert max(map(len, wire.split(b"\r\n"))) <= 256, "RFC 5322 allows 998"


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
