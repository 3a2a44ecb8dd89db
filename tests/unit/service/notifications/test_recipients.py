"""Recipients, as people write them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.notifications.recipients import (
    Recipient,
    check_address,
    check_channel,
    check_entries,
    parse_recipient,
    split_recipients,
    unique_channels,
)


@pytest.mark.parametrize(
    ("text", "address", "name"),
    [
        ("ann@example.com", "ann@example.com", ""),
        (" a.b+c@mail.example ", "a.b+c@mail.example", ""),
        ("admin@localhost", "admin@localhost", ""),
        ("ops@mail.corp.local", "ops@mail.corp.local", ""),
        ("Ann Lee <ann@example.com>", "ann@example.com", "Ann Lee"),
        ('"Lee, Ann" <ann@example.com>', "ann@example.com", "Lee, Ann"),
        ("<ann@example.com>", "ann@example.com", ""),
        ("ann@müller.de", "ann@xn--mller-kva.de", ""),
        ("Ann@EXAMPLE.com", "Ann@example.com", ""),
    ],
)
def test_recipient_is_parsed(text: str, address: str, name: str) -> None:
    assert parse_recipient(text) == Recipient(address, name)
    assert parse_recipient(str(parse_recipient(text))) == Recipient(address, name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "müller@example.com",  # needs SMTPUTF8, which few servers have
        "ann",
        "@example.com",
        "ann@",
        "ann@example.com, bob@example.com",
        "ann@example.com;bob@example.com",
        "ann@example.com bob@example.com",
        "<x@y.de> <ann@example.com>",
        "x@y.de> <ann@example.com>",
        "Ann <ann@example.com>, Bob <bob@example.com>",
        "Ann <ann@example.com> <bob@example.com>",
        "ann@example.com\r\nBcc: bob@example.com",
        "ann@example.com\nRCPT TO:<bob@example.com>",
        "Ann\r\nBcc: x@y.de <ann@example.com>",
        "ann\x00@example.com",
        '"ann"@example.com',
        "ann@exa mple.com",
        "ann@@example.com",
        "ann..b@example.com",
        ".ann@example.com",
        "ann@-example.com",
        "ann@example..com",
        "ann@[127.0.0.1]",
        "ann(comment)@example.com",
        "a" * 320 + "@example.com",
    ],
)
def test_what_is_not_one_recipient_is_refused(text: str) -> None:
    with pytest.raises(PushMetricsParameterError, match=r"is not a mail address: it must look like"):
        parse_recipient(text)


def test_recipients_are_split_where_people_separate_them_and_nowhere_else() -> None:
    text = 'a@b.de; "Doe, J" <j@x.de>,\n{{ ["a", "b"] | join(",") }}@c.de;{% if x, y %}z{% endif %},, q'
    assert split_recipients(text) == [
        "a@b.de",
        '"Doe, J" <j@x.de>',
        '{{ ["a", "b"] | join(",") }}@c.de',
        "{% if x, y %}z{% endif %}",
        "q",
    ]


@pytest.mark.parametrize("opened", ["{{", "{%", "{#", '"', "<"])
def test_text_that_ends_in_the_middle_is_split_all_the_same(opened: str) -> None:
    """A long one too: were the end looked for at each of them, this test would not end."""
    assert split_recipients(f"a@b.de; {opened} c@d.de, e") == ["a@b.de", f"{opened} c@d.de", "e"]
    assert len(split_recipients(f"{opened}\n" * 300_000)) == 300_000


def test_only_entries_that_are_no_templates_are_checked_before_they_are_rendered() -> None:
    assert check_entries(["a@b.de, {{ x }}", "{{ y }}@b.de"], check_address) == [
        "a@b.de",
        "{{ x }}",
        "{{ y }}@b.de",
    ]
    with pytest.raises(PushMetricsParameterError, match="'nobody' is not a mail address"):
        check_entries(["a@b.de, nobody"], check_address)


@pytest.mark.parametrize("text", ["#sales", "sales", "C024BE91L", "@ann", "#größe"])
def test_channel_is_accepted(text: str) -> None:
    assert check_channel(text) == text


@pytest.mark.parametrize("text", ["", "#a,#b", "#a #b", "<!channel>", "#", "a&b", "#a\n", "#" + "a" * 81])
def test_what_is_not_one_channel_is_refused(text: str) -> None:
    with pytest.raises(PushMetricsParameterError, match="is not a Slack channel"):
        check_channel(text)


HOSTILE = st.text(alphabet='ab.-@,;<>\r\n\t \\"()é:\x00', max_size=30)


@settings(deadline=None)
@given(st.text(max_size=30), HOSTILE)
@example("x <evil@y.de>", "b")
def test_any_text_is_accepted_or_refused_and_nothing_else(name: str, domain: str) -> None:
    for text in (name, domain, f"{name}@{domain}"):
        try:
            recipient = parse_recipient(text)
        except PushMetricsParameterError:
            continue
        assert recipient.address.isascii()
        assert recipient.address.isprintable()
        assert recipient.address.count("@") == 1
        assert not set(recipient.address) & set(' ,;<>"()')


@settings(deadline=None)
@given(HOSTILE)
@example("x@evil.de> <")
@example("<x@evil.de>")
@example('"<x@evil.de>, ')
def test_name_never_changes_the_address_behind_it(name: str) -> None:
    with suppress(PushMetricsParameterError):
        assert parse_recipient(f"{name} <boss@example.com>").address == "boss@example.com"


@settings(deadline=None)
@given(HOSTILE)
@example("x@evil.de, me")
def test_part_before_the_at_never_changes_the_domain_behind_it(part: str) -> None:
    with suppress(PushMetricsParameterError):
        assert parse_recipient(f"{part}@example.com").address.endswith("@example.com")


def test_channel_with_and_without_its_sign_is_one() -> None:
    channels = ["#sales", "sales", "Sales", "@sales", "C024BE91L", "#C024BE91L", "ops"]
    assert unique_channels(channels) == ["#sales", "Sales", "@sales", "C024BE91L", "ops"]
