"""Who is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.notifications.recipients import check_recipient


@pytest.mark.parametrize("address", ["ann@example.com", "a.b+c@mail.example", "x@localhost"])
def test_mail_address_is_accepted(address: str) -> None:
    assert check_recipient(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "müller@example.com",  # few servers take it
        "ann",
        "@example.com",
        "ann@",
        "ann@example.com, bob@example.com",
        "ann@example.com;bob@example.com",
        "Ann <ann@example.com>",
        "ann@example.com\r\nBcc: bob@example.com",
        "ann@example.com\nRCPT TO:<bob@example.com>",
        '"ann"@example.com',
        "ann@exa mple.com",
        "ann@@example.com",
        "ann..b@example.com",
        ".ann@example.com",
        "ann@-example.com",
        "ann@example..com",
        "a" * 320 + "@example.com",
    ],
)
def test_what_is_not_one_mail_address_is_refused(address: str) -> None:
    with pytest.raises(PushMetricsParameterError, match=r"is no mail address: it must look like"):
        check_recipient(address)


@given(st.text(max_size=30), st.text(alphabet='ab.-@,<>\r\n \\"()é', max_size=30))
def test_any_text_is_accepted_or_refused_and_nothing_else(name: str, domain: str) -> None:
    for address in (name, f"{name}@{domain}"):
        try:
            assert "\n" not in check_recipient(address)
        except PushMetricsParameterError:
            continue
