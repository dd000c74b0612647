"""LiteLLM's response headers (`general.litellm_headers`): what this gateway tells under `x-penstock-*`, under the names
that tools made for LiteLLM look for. Those whose values are not known here are not sent.

Source of the names: docs.litellm.ai/docs/proxy/response_headers.
"""

from __future__ import annotations

import time
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from penstock.gateway.http.heads import header_line, header_value

if TYPE_CHECKING:
    from penstock.gateway.routed import RoutedCall
    from penstock.gateway.targets import Target

_PICODOLLARS = Decimal(10) ** 12


@cache
def _version() -> bytes:
    return b"x-litellm-version: %b\r\n" % version("penstock").encode()


def lines(call: RoutedCall, target: Target | None, cost_text: str | None, overhead_ms: float) -> bytes:
    """The lines of an answer: who gave it, what it cost, how long it took, and what the key has."""
    model = "" if target is None else target.deployment.id
    spent_ms = (time.perf_counter() - call.started) * 1000
    head = (
        b"%bx-litellm-call-id: %b\r\nx-litellm-model-group: %b\r\nx-litellm-model-id: %b\r\n"
        b"x-litellm-attempted-retries: %d\r\nx-litellm-attempted-fallbacks: %d\r\n"
        b"x-litellm-response-duration-ms: %.3f\r\nx-litellm-overhead-duration-ms: %.3f\r\n"
    ) % (
        _version(),
        call.id.encode(),
        header_value(call.group),
        header_value(model),
        max(0, call.attempts - 1 - call.hops),
        call.hops,
        spent_ms,
        max(0.0, overhead_ms),
    )
    if target is not None:
        head += header_line("x-litellm-model-name", target.resolved.model)
    if cost_text is not None:
        head += b"x-litellm-response-cost: %b\r\n" % cost_text.encode()
    return head + of_the_key(call)


def of_an_error(call_id: str) -> bytes:
    """The lines of an error."""
    return b"%bx-litellm-call-id: %b\r\n" % (_version(), call_id.encode())


def of_the_key(call: RoutedCall) -> bytes:
    """What the key may use, and what it has spent of its budget."""
    head = b""
    for quota in call.principal.quotas:
        if quota.kind == "requests":
            head += b"x-litellm-key-rpm-limit: %d\r\n" % quota.limit
        elif quota.kind == "tokens":
            head += b"x-litellm-key-tpm-limit: %d\r\n" % quota.limit
        elif quota.kind == "money":
            (left,) = call.plane.leases.left((quota,))
            spent = max(0, quota.limit - left)
            head += b"x-litellm-key-max-budget: %b\r\nx-litellm-key-spend: %b\r\n" % (
                _dollars(quota.limit),
                _dollars(spent),
            )
    return head


def _dollars(picodollars: int) -> bytes:
    return f"{(Decimal(picodollars) / _PICODOLLARS).normalize():f}".encode()
