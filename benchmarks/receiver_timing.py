"""7: a credential that is wrong in its first byte is refused as fast as one that is wrong in its last."""

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
from benchmarks.receiver_proof import Found, MakeUrl, Size, say_progress
from tests.fakes.receiver_requests import SIGNING_SECRET, build_signed_headers
from tests.fakes.receiver_server import SENDER_TOKEN

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


def prove_timing(size: Size, _make_url: MakeUrl) -> Found:
    """Compare how long refusals take, and two kinds that are the same: what the machine does to t."""
    signed = build_signed_headers("msg_1", BODY)
    bearer, signature = f"Bearer {SENDER_TOKEN}", signed["webhook-signature"]
    token = Forgery({"authorization": bearer}, "authorization", len("Bearer "), len(bearer) - 1)
    digest = Forgery(signed, "webhook-signature", len("v1,"), len(signature) - len("=") - 1)
    by_token = SenderAuthenticator([SourceSettings("demo", token=SENDER_TOKEN)])
    by_signature = SenderAuthenticator([SourceSettings("demo", signing_secrets=(SIGNING_SECRET,))])
    found = {
        "token": _compare(size.timings, by_token, token, token.last),
        "signature": _compare(size.timings, by_signature, digest, digest.last),
        "the same": _compare(size.timings, by_token, token, token.first),
    }
    figures = ", ".join(f"{name} t = {t:.2f}" for name, t in found.items())
    holds = max(abs(found["token"]), abs(found["signature"])) <= MAX_T
    return Found(f"|t| ≤ {MAX_T}", f"{size.timings:,} of each: {figures}", holds)


def _compare(count: int, gate: SenderAuthenticator, forgery: Forgery, other: int) -> float:
    """Compare the first byte with another, in blocks: by the t of their differences."""
    chance, differences = random.Random(7), list[float]()
    for block in range(2 * count // BLOCK):
        if block % 100 == 0:
            say_progress(f"{block * BLOCK:,} of {2 * count:,} refusals timed")
        took: tuple[list[int], list[int]] = ([], [])
        for _ in range(BLOCK):
            kind = chance.getrandbits(1)
            took[kind].append(_time_refusal(gate, forgery.build_head((forgery.first, other)[kind])))
        first, second = (statistics.fmean(_leave_out_slowest(side)) for side in took)
        differences.append(first - second)
    return statistics.fmean(differences) / (statistics.stdev(differences) / len(differences) ** 0.5)


def _leave_out_slowest(took: list[int]) -> list[int]:
    return sorted(took)[: int(len(took) * (1 - SLOWEST_SHARE))]


def _time_refusal(gate: SenderAuthenticator, head: RequestHead) -> int:
    began = time.perf_counter_ns()
    try:
        gate.authenticate("demo", head, BODY)
    except Unauthorized:
        return time.perf_counter_ns() - began
    raise AssertionError("a wrong credential was taken")
