"""A credential that is wrong in its first byte is refused as fast as one that is wrong in its last."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_pushmetrics.receiver.endpoints.authentication import SenderAuthenticator
from airflow_provider_pushmetrics.receiver.endpoints.request_head import RequestHead
from airflow_provider_pushmetrics.receiver.errors import Unauthorized
from airflow_provider_pushmetrics.receiver.settings import SourceSettings
from tests.fakes.receiver_requests import SIGNING_SECRET, build_signed_headers
from tests.fakes.receiver_server import SENDER_TOKEN
from tests.soak.conftest import Show, Size

MAX_T = 4.5
"""From where on tests of constant time call a difference real: https://eprint.iacr.org/2016/1123.pdf."""

SLOWEST_SHARE = 0.1
"""What the machine interrupted says nothing, and is left out on both sides."""

BLOCK = 1000
"""Refusals of which the two kinds are compared with each other alone: the machine's speed changes."""

BODY = b'{"event": "report.run"}'


@dataclass(frozen=True)
class Forgery:
    """
    Headers with a credential, of which one byte is made wrong.

    :param headers: All headers.
    :param name: The one with the credential.
    :param first: Where in it its first byte is.
    :param last: Where its last byte is.
    """

    headers: Mapping[str, str]
    name: str
    first: int
    last: int

    def build_head(self, at: int) -> RequestHead:
        """Build it again each time: where its bytes lie in memory would tell two that are kept apart."""
        headers = {name.encode(): value.encode() for name, value in self.headers.items()}
        credential = bytearray(headers[self.name.encode()])
        credential[at] ^= 1
        return RequestHead({**headers, self.name.encode(): bytes(credential)})


def test_the_time_of_a_rejection_does_not_disclose_where_a_credential_is_wrong(
    size: Size, show: Show
) -> None:
    """Also compares two kinds that are the same: what the machine does to t."""
    signed = build_signed_headers("msg_1", BODY)
    bearer, signature = f"Bearer {SENDER_TOKEN}", signed["webhook-signature"]
    token = Forgery({"authorization": bearer}, "authorization", len("Bearer "), len(bearer) - 1)
    digest = Forgery(signed, "webhook-signature", len("v1,"), len(signature) - len("=") - 1)
    by_token = SenderAuthenticator([SourceSettings("demo", token=SENDER_TOKEN)])
    by_signature = SenderAuthenticator([SourceSettings("demo", signing_secrets=(SIGNING_SECRET,))])
    found = {
        "token": compare(size.timings, by_token, token, token.last),
        "signature": compare(size.timings, by_signature, digest, digest.last),
        "the same": compare(size.timings, by_token, token, token.first),
    }
    show(f"{size.timings:,} of each: " + ", ".join(f"{name} t = {t:.2f}" for name, t in found.items()))
    assert max(abs(found["token"]), abs(found["signature"])) <= MAX_T


def compare(count: int, gate: SenderAuthenticator, forgery: Forgery, other: int) -> float:
    """Compare the first byte with another, in blocks: by the t of their differences."""
    chance, differences = random.Random(7), list[float]()
    for _ in range(2 * count // BLOCK):
        took: tuple[list[int], list[int]] = ([], [])
        for _ in range(BLOCK):
            kind = chance.getrandbits(1)
            took[kind].append(time_refusal(gate, forgery.build_head((forgery.first, other)[kind])))
        first, second = (
            statistics.fmean(sorted(side)[: int(len(side) * (1 - SLOWEST_SHARE))]) for side in took
        )
        differences.append(first - second)
    return statistics.fmean(differences) / float(statistics.stdev(differences) / len(differences) ** 0.5)


def time_refusal(gate: SenderAuthenticator, head: RequestHead) -> int:
    began = time.perf_counter_ns()
    try:
        gate.authenticate("demo", head, BODY)
    except Unauthorized:
        return time.perf_counter_ns() - began
    raise AssertionError("a wrong credential was taken")
