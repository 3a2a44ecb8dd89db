"""What URLs events may be sent to; test_ip_ranges has the addresses of each range."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.exceptions import PushMetricsEndpointError, PushMetricsParameterError
from airflow_provider_pushmetrics.service.egress.ip_ranges import Zone
from airflow_provider_pushmetrics.service.egress.rules import (
    EgressRules,
    check_addresses,
    check_subscription_url,
    parse_host,
)

STRICT = EgressRules()
DEMO = EgressRules(allow_loopback=True)
PRIVATE = EgressRules(allow_private=True)

GOOD = [
    "https://example.com/hook?token=x",
    "http://example.com:8080/",
    "https://EXAMPLE.com.",
    "https://münchen.example/hook",
    "https://xn--mnchen-3ya.example/",
    "https://8.8.8.8/",
    "https://[2606:4700:4700::1111]:8443/",
    "https://my_host.example/",
    "https://1password.example/",
    "https://localhost.example/",
]

LOOPBACK = [
    "http://127.0.0.1/",
    "http://127.0.0.1./",
    "http://127.8.8.8:8080/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://a.b.localhost:8080/",
    "http://127。0。0。1/",
]

INTERNAL = [
    "http://10.0.0.1/",
    "http://[fd00::1]/",
    "http://[::ffff:10.0.0.1]/",
]

NEVER = [
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    # other spellings of 127.0.0.1, and of a public address
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7F.1/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.0.0.1.0/",
    "http://134744072/",
    "http://0x/",
    "http://127%2E0%2E0%2E1/",
    "http://%31%32%37.0.0.1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54/",  # in letters of full width
    # users, also where they hide the host
    "http://user@example.com/",
    "http://user:password@example.com/",
    "http://:@example.com/",
    "http://example.com@127.0.0.1/",
    "http://example.com\\@127.0.0.1/",
    # other schemes
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com:25/",
    "dict://example.com/",
    "ws://example.com/",
    "//example.com/",
    "example.com",
    "javascript:alert(1)",
    "",
    # hosts that are none
    "http:///path",
    "http://example.com/ path",
    "http://example.com/\u2028",
    "http://a..b/",
    "http://exa mple.com/",
    "http://example.com\r\nX: y/",
    "http://[::1/",
    "http://[1.2.3.4]/",
    f"http://{'a' * 64}.example/",
    f"http://{'a.' * 130}example/",
    # ports of other protocols, or of none
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:port/",
]


@pytest.mark.parametrize("url", GOOD)
@pytest.mark.parametrize("rules", [STRICT, DEMO, PRIVATE])
def test_public_endpoint_is_accepted(url: str, rules: EgressRules) -> None:
    check_subscription_url(url, rules)


@pytest.mark.parametrize("url", [*LOOPBACK, *INTERNAL, *NEVER])
def test_the_corpus_is_refused(url: str) -> None:
    with pytest.raises(PushMetricsEndpointError):
        check_subscription_url(url, STRICT)


@pytest.mark.parametrize("url", LOOPBACK)
@pytest.mark.parametrize("rules", [DEMO, PRIVATE])
def test_loopback_can_be_allowed(url: str, rules: EgressRules) -> None:
    check_subscription_url(url, rules)


@pytest.mark.parametrize("url", INTERNAL)
def test_private_networks_can_be_allowed_and_loopback_alone_does_not(url: str) -> None:
    check_subscription_url(url, PRIVATE)
    with pytest.raises(PushMetricsEndpointError):
        check_subscription_url(url, DEMO)


@pytest.mark.parametrize("url", NEVER)
@pytest.mark.parametrize("rules", [DEMO, PRIVATE])
def test_the_rest_is_refused_whatever_is_allowed(url: str, rules: EgressRules) -> None:
    with pytest.raises(PushMetricsEndpointError):
        check_subscription_url(url, rules)


@pytest.mark.parametrize("rules", [STRICT, DEMO, PRIVATE])
def test_no_rule_allows_special_addresses(rules: EgressRules) -> None:
    assert not rules.allows(Zone.SPECIAL)
    assert rules.allows(Zone.PUBLIC)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "http://10.0.0.1/?token=s3cret",
            r"endpoint '10\.0\.0\.1': it leads to a private address, .* --allow-p",
        ),
        ("http://169.254.169.254/s3cret", r"a link-local address, .* Use an endpoint with a public address"),
        ("http://s3cret:s3cret@h.example/", r"'h\.example': it holds a user name or a password\. Leave out"),
        ("ftp://h.example/s3cret", r"its scheme is 'ftp'\. Use http or https"),
        ("http://h.example:22/s3cret", r"port 22 is not one of HTTP\. Use 80, 443"),
        (
            "http://0x7f.1/?token=s3cret",
            r"'0x7f\.1': it is an unusual spelling of an address\. Write it as four",
        ),
        ("http://a..b/?token=s3cret", r"'a\.\.b': it is not a host name\. Use a name such as"),
        (
            "http://h:p0rt/s3cret",
            r"the endpoint is not a usable URL: it must look like 'https://host/path'",
        ),
    ],
)
def test_refusal_says_what_and_why_and_what_to_do_but_no_secret(url: str, message: str) -> None:
    with pytest.raises(PushMetricsEndpointError, match=message) as caught:
        check_subscription_url(url, STRICT)
    assert "s3cret" not in str(caught.value)


def test_refusal_is_a_wrong_value_to_who_saves_it() -> None:
    assert issubclass(PushMetricsEndpointError, PushMetricsParameterError)


@pytest.mark.parametrize("port", [1, 22, 25, 6667])
def test_port_of_another_protocol_is_for_who_allows_home(port: int) -> None:
    with pytest.raises(PushMetricsEndpointError, match=f"port {port} is not one of HTTP"):
        check_subscription_url(f"http://example.com:{port}/", STRICT)
    for rules in (DEMO, PRIVATE):
        check_subscription_url(f"http://127.0.0.1:{port}/", rules)


def test_one_address_that_is_not_allowed_is_enough() -> None:
    check_addresses("h.example", ["8.8.8.8", "2606:4700::1"], STRICT)
    with pytest.raises(PushMetricsEndpointError, match="leads to a loopback address") as caught:
        check_addresses("h.example", ["8.8.8.8", "127.0.0.7"], STRICT)
    assert "127.0.0.7" not in str(caught.value)


def test_host_that_is_a_name_has_no_address_yet() -> None:
    assert parse_host("example.com.") is None
    assert str(parse_host("10.0.0.1.")) == "10.0.0.1"


@given(st.text(max_size=40))
@example("[::1%25]")
@example("\uff11\uff12\uff17.0.0.1")
def test_any_text_is_accepted_or_refused_and_nothing_else(text: str) -> None:
    for url in (text, f"http://{text}/", f"http://{text}@h/", f"http://h:{text}/"):
        try:
            check_subscription_url(url, STRICT)
        except PushMetricsEndpointError:
            continue
        assert httpx.URL(url).raw_host
        assert httpx.URL(url).scheme in ("http", "https")
