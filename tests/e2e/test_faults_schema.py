"""The OpenAPI document of a running gateway, held to its word by schemathesis: both planes, through the workers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks

from tests.e2e.gateway import KEY
from tests.support.faulty_upstream import FaultyUpstream
from tests.support.gateway_run import Gateway, gateway

EXAMPLES = int(os.environ.get("PENSTOCK_FAULT_EXAMPLES", "6"))
HELD = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
        "response_headers_conformance", "negative_data_rejection")  # fmt: skip
FREE = ("negative_data_rejection",)
"""What is not held of the data plane: what a provider makes of a request is not the gateway's to say."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with FaultyUpstream() as upstream:
        models = [upstream.deployment("ok"), upstream.deployment("claude", dialect="messages")]
        with gateway(tmp_path_factory.mktemp("schema"), models, routing={"retries": 0}) as one:
            yield one


def test_the_document_is_true(running: Gateway) -> None:
    described = schemathesis.openapi.from_url(f"{running.running.url}/openapi.json")
    wrong: list[str] = []
    for found in described.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]  # an error here fails the test, too
        try:
            hold(operation)
        except (Exception, BaseExceptionGroup) as error:
            wrong.append(f"{operation.label}: {error}")
    assert not wrong, "\n\n".join(wrong)


def hold(operation: Any) -> None:
    """Ask for an operation with what its schema allows, and see that the answers are those it tells of."""
    data_plane = "models" in (operation.definition.raw.get("tags") or ())
    held = checks.CHECKS.get_by_names([name for name in HELD if not (data_plane and name in FREE)])

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        case.call_and_validate(headers={"authorization": f"Bearer {KEY}"}, checks=held)
        if operation.definition.raw.get("security"):
            assert case.call(headers={"authorization": "Bearer sk-fake-nobody"}).status_code == 401

    ask()
