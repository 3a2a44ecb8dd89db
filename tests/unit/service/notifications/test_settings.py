"""What is set to send notifications."""

from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.notifications.settings import (
    Security,
    SlackSettings,
    SmtpSettings,
    read_slack_settings,
    read_smtp_settings,
)


def read_smtp(**given: str) -> SmtpSettings | None:
    return read_smtp_settings({f"PUSHMETRICS_SERVICE_SMTP_{name}": value for name, value in given.items()})


def read_slack(**given: str) -> SlackSettings | None:
    return read_slack_settings({f"PUSHMETRICS_SERVICE_SLACK_{name}": value for name, value in given.items()})


def test_nothing_set_means_that_mail_is_kept_and_there_is_no_slack() -> None:
    assert read_smtp() is None
    assert read_smtp(HOST=" ", SENDER="") is None
    assert read_slack() is None
    assert read_slack(BASE_URL="https://slack.example/api/") is None


def test_smtp_settings_are_read() -> None:
    sender = "Reports <reports@example.com>"
    assert read_smtp(HOST="mail.example", SENDER=sender) == SmtpSettings("mail.example", sender)
    assert read_smtp(
        HOST="mail.example", SENDER=sender, PORT="2525", USER="u", PASSWORD="p", SECURITY="TLS"
    ) == SmtpSettings("mail.example", sender, 2525, "u", "p", Security.TLS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"HOST": "h"}, r"SMTP_SENDER is not set, but PUSHMETRICS_SERVICE_SMTP_HOST is"),
        ({"PASSWORD": "s3cret"}, r"SMTP_HOST is not set, but PUSHMETRICS_SERVICE_SMTP_PASSWORD is"),
        (
            {"HOST": "h", "SENDER": "a@b", "PORT": "0"},
            r"SMTP_PORT is '0': it must be greater than or equal to 1",
        ),
        ({"HOST": "h", "SENDER": "a@b", "PORT": "²"}, r"SMTP_PORT is '²'"),
        ({"HOST": "h", "SENDER": "a@b", "SECURITY": "ssl"}, r"'ssl': it must be 'starttls', 'tls' or 'none'"),
        ({"HOST": "h", "SENDER": "a@b", "USER": "u"}, r"USER and .*PASSWORD must be set together"),
        ({"HOST": "h", "SENDER": "a@b", "PASSWORD": "s3cret"}, r"USER and .*PASSWORD must be set together"),
        ({"HOST": "h", "SENDER": "a@b", "HELO": "a b"}, r"SMTP_HELO is 'a b': it must be a host name"),
        ({"HOST": "h", "SENDER": "a@b", "USER": "ü", "PASSWORD": "s3cret"}, "characters that are not ASCII"),
        ({"HOST": "h", "SENDER": "nobody"}, r"SMTP_SENDER is 'nobody', which is not a mail address"),
        (
            {"HOST": "mail.example", "SENDER": "a@b", "SECURITY": "none", "USER": "u", "PASSWORD": "s3cret"},
            r"password would be sent to 'mail\.example' without encryption",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(PushMetricsConfigurationError, match=message) as caught:
        read_smtp(**given)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_password_may_go_to_this_machine_in_the_clear(host: str) -> None:
    settings = read_smtp(HOST=host, SENDER="a@b", SECURITY="none", USER="u", PASSWORD="p")
    assert settings is not None
    assert settings.security is Security.NONE


def test_slack_settings_are_read() -> None:
    assert read_slack(TOKEN="xoxb-1") == SlackSettings("xoxb-1", "https://slack.com/api/")
    assert read_slack(TOKEN="t", BASE_URL="http://127.0.0.1:9/api") == SlackSettings(
        "t", "http://127.0.0.1:9/api"
    )


@pytest.mark.parametrize(
    "url", ["http://slack.example/api/", "ftp://slack.com", "slack.com", "file:///etc/passwd"]
)
def test_slack_token_does_not_travel_in_the_clear(url: str) -> None:
    with pytest.raises(PushMetricsConfigurationError, match="must begin with 'https://'") as caught:
        read_slack(TOKEN="s3cret", BASE_URL=url)
    assert "s3cret" not in str(caught.value)


def test_secrets_are_not_in_the_representation() -> None:
    assert "s3cret" not in repr(SmtpSettings("h", "a@b", user="u", password="s3cret")) + repr(
        SlackSettings("s3cret")
    )
