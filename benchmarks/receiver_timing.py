"""7: a credential that is wrong in its first byte is refused as fast as one that is wrong in its last."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Mapping

from airflow_provider_pushmetrics.receiver.credentials import SenderGate
from airflow_provider_pushmetrics.receiver.head import RequestHead
from airflow_provider_pushmetrics.receiver.refusals import Unauthorized
from airflow_provider_pushmetrics.receiver.settings import SourceSettings
from benchmarks.receiver_proof import Found, MakeUrl, Size, say_progress
from tests.fakes.receiver_requests import SIGNING_SECRET, build_signed_headers
from tests.fakes.receiver_server import SENDER_TOKEN

MAX_T = 4.5
"""From where on tests of constant time call a difference real: https://eprint.iacr.org/2016/1123.pdf."""

SLOWEST_SHARE = 0.05
"""What the machine interrupted says nothing, and is left out on both sides."""

BODY = b'{"event": "report.run"}'


def prove_timing(size: Size, _make_url: MakeUrl) -> Found:
    """Compare how long refusals take, by Welch's t."""
    token = SENDER_TOKEN
    signed = build_signed_headers("msg_1", BODY)
    signature = signed["webhook-signature"]
    t_token = _compare(
        size.timings,
        SourceSettings("demo", token=token),
        first={"authorization": f"Bearer {_flip(token, 0)}"},
        last={"authorization": f"Bearer {_flip(token, len(token) - 1)}"},
    )
    t_signature = _compare(
        size.timings,
        SourceSettings("demo", signing_secrets=(SIGNING_SECRET,)),
        first={**signed, "webhook-signature": _flip(signature, 3)},  # after "v1,"
        last={**signed, "webhook-signature": _flip(signature, len(signature) - 2)},  # before "="
    )
    figures = f"{size.timings:,} of each: token t = {t_token:.2f}, signature t = {t_signature:.2f}"
    return Found(f"|t| ≤ {MAX_T}", figures, max(abs(t_token), abs(t_signature)) <= MAX_T)


def _flip(text: str, at: int) -> str:
    return f"{text[:at]}{'A' if text[at] != 'A' else 'B'}{text[at + 1 :]}"


def _compare(
    count: int, source: SourceSettings, *, first: Mapping[str, str], last: Mapping[str, str]
) -> float:
    gate, chance = SenderGate([source]), random.Random(7)
    headers = (first, last)
    took: tuple[list[int], list[int]] = ([], [])
    for number in range(2 * count):
        kind = chance.getrandbits(1)
        # A new one each time: where its bytes lie in memory would tell two that are kept apart.
        head = _build_head(headers[kind])
        took[kind].append(_time_refusal(gate, source.name, head))
        if number % 100_000 == 0:
            say_progress(f"{number:,} of {2 * count:,} refusals timed")
    return _compute_t(*(sorted(side)[: int(len(side) * (1 - SLOWEST_SHARE))] for side in took))


def _build_head(headers: Mapping[str, str]) -> RequestHead:
    return RequestHead({name.encode(): value.encode() for name, value in headers.items()})


def _time_refusal(gate: SenderGate, source: str, head: RequestHead) -> int:
    began = time.perf_counter_ns()
    try:
        gate.admit(source, head, BODY)
    except Unauthorized:
        return time.perf_counter_ns() - began
    raise AssertionError("a wrong credential was taken")


def _compute_t(one: list[int], other: list[int]) -> float:
    spread = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return float((statistics.fmean(one) - statistics.fmean(other)) / spread**0.5)
