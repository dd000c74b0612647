"""The OpenAPI document of the agents' API, held to its word by schemathesis, over real sockets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks

from penstock.agents.store.sqlite import open_sqlite
from penstock.agents.tokens import digest_of
from penstock.agents.types import Token
from tests.support.agents import ALL_SCOPES, NOON
from tests.support.agents_server import AgentsServer

EXAMPLES = int(os.environ.get("PENSTOCK_FAULT_EXAMPLES", "6"))
HELD = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
        "response_headers_conformance", "negative_data_rejection")  # fmt: skip
SECRET = "pst_" + "fake" * 8


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path: Path = tmp_path_factory.mktemp("document") / "agents.db"
    store = open_sqlite(path)
    scopes = tuple(sorted(ALL_SCOPES))
    store.add_token(Token(id="tok_alice", owner="alice", name="t", scopes=scopes, created_at=NOON), digest_of(SECRET))
    store.close()
    with AgentsServer(path) as server:
        yield f"http://127.0.0.1:{server.port}"


def test_the_document_is_true(url: str) -> None:
    described = schemathesis.openapi.from_url(f"{url}/openapi.json")
    wrong: list[str] = []
    operations = 0
    for found in described.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]  # an error here fails the test, too
        operations += 1
        try:
            hold(operation)
        except (Exception, BaseExceptionGroup) as error:
            wrong.append(f"{operation.label}: {error}")
    assert not wrong, "\n\n".join(wrong)
    assert operations > 35


def hold(operation: Any) -> None:
    """Ask for an operation with what its schema allows, and see that the answers are those it tells of."""
    held = checks.CHECKS.get_by_names(list(HELD))

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
        case.call_and_validate(headers={"authorization": f"Bearer {SECRET}"}, checks=held)
        if operation.definition.raw.get("security"):
            assert case.call(headers={"authorization": "Bearer pst_nobody"}).status_code in (400, 401)

    ask()
