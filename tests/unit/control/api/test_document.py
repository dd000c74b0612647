"""The OpenAPI document is true: every route is in it, every answer has the shape that it says, and what it calls wrong
is refused.
"""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from penstock.control.api.data_plane import data_plane_paths
from penstock.control.api.document import document
from penstock.control.api.gate import OPEN
from tests.unit.control.api.conftest import Api


@pytest.fixture
def described(api: Api) -> dict[str, Any]:
    answer = api.http.get("/openapi.json", headers={"authorization": ""})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def held_to(described: dict[str, Any], path: str, method: str, answer: Any) -> None:
    """The answer is one that the document tells of."""
    told = described["paths"][path][method]["responses"]
    assert str(answer.status_code) in told, f"{method} {path}: {answer.status_code} is not in the document"
    content = told[str(answer.status_code)].get("content", {})
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in content, f"{method} {path}: {kind}"
    if kind == "application/json":
        schema = {**content[kind]["schema"], "components": described["components"]}
        jsonschema.validate(answer.json(), schema)


REQUESTS = [
    ("post", "/key/generate", {"max_budget": 1, "duration": "1d", "key_alias": "x", "metadata": {"a": [1]}}),
    ("post", "/key/generate", {"modles": 1}),
    ("post", "/key/update", {"key": "sk-fake-known-key-01", "rpm_limit": 1}),
    ("post", "/key/update", {"key": "sk-fake-nobody-01234"}),
    ("post", "/key/block", {"key": "sk-fake-known-key-01"}),
    ("post", "/key/unblock", {"key": "sk-fake-known-key-01"}),
    ("get", "/key/info?key=sk-fake-known-key-01", None),
    ("get", "/key/info", None),
    ("post", "/v2/key/info", {"keys": ["sk-fake-known-key-01"]}),
    ("get", "/key/list", None),
    ("get", "/key/list?return_full_object=true", None),
    ("get", "/key/list?page=0", None),
    ("post", "/key/regenerate", {"key": "sk-fake-known-key-01", "new_key": "sk-fake-known-key-02"}),
    ("post", "/key/delete", {"keys": ["sk-fake-known-key-02"]}),
    ("post", "/key/delete", {}),
    ("get", "/spend/logs", None),
    ("get", "/spend/logs?start_date=2026-01-01&end_date=2026-01-31", None),
    ("get", "/spend/logs/v2", None),
    ("get", "/model/info", None),
    ("get", "/v1/model/info?litellm_model_id=x", None),
    ("get", "/model_group/info", None),
    ("get", "/config", None),
    ("get", "/config/status", None),
    ("post", "/config/check", {"main": "a", "files": {"a": "modls: []"}}),
    ("post", "/config/diff", {"main": "a", "files": {"a": "models: [{name: a, model: demo}]"}}),
    ("post", "/config/apply", {"main": "a", "files": {"a": "models: [{name: a, model: demo}]"}}),
    ("get", "/config/history", None),
    ("get", "/health/readiness", None),
    ("get", "/health/liveliness", None),
    ("get", "/health", None),
    ("get", "/health/backlog", None),
    ("get", "/metrics", None),
]


def test_answers_have_the_shape_that_the_document_says(api: Api, described: dict[str, Any]) -> None:
    api.post("/key/generate", key="sk-fake-known-key-01")
    for method, path, body in REQUESTS:
        answer = api.http.request(method.upper(), path, json=body)
        held_to(described, path.partition("?")[0], method, answer)
        if path.partition("?")[0] not in OPEN:
            answer = api.http.request(method.upper(), path, json=body, headers={"authorization": "Bearer x"})
            assert answer.status_code == 401
            held_to(described, path.partition("?")[0], method, answer)


def test_every_route_is_tried_here(described: dict[str, Any]) -> None:
    tried = {(path.partition("?")[0], method) for method, path, _ in REQUESTS}
    own = described["paths"].keys() - data_plane_paths().keys()
    listed = {(path, method) for path in own for method in described["paths"][path]}
    assert listed - tried <= {("/health/liveness", "get"), ("/key/{key}/regenerate", "post")}


def test_only_open_paths_need_no_key(described: dict[str, Any]) -> None:
    needs = {path: "security" in operation for path, item in described["paths"].items() for operation in item.values()}
    assert {path for path, key in needs.items() if not key} == {
        *("/health/readiness", "/health/liveness", "/health/liveliness", "/health/backlog", "/metrics"),
    }


def test_no_answer_is_promised_that_pydantic_would_give(described: dict[str, Any]) -> None:
    for item in described["paths"].values():
        for operation in item.values():
            assert "422" not in operation["responses"]
    assert "HTTPValidationError" not in described["components"]["schemas"]


def test_the_data_planes_paths_stand_beside_the_control_planes(api: Api) -> None:
    chat = {"/v1/chat/completions": {"post": {"responses": {"200": {"description": "An answer."}}}}}
    from fastapi import FastAPI

    made = document(FastAPI(), chat)
    assert made["paths"] == chat and made["openapi"].startswith("3.1")


def test_methods_and_paths_that_are_not_there_are_told_in_the_same_shape(api: Api) -> None:
    answer = api.http.put("/key/list")
    assert answer.status_code == 405 and answer.headers["allow"] == "GET"
    assert answer.json()["error"]["message"] == "/key/list takes GET, not PUT"
    answer = api.http.get("/key/nothing")
    assert answer.status_code == 404 and answer.json()["error"]["code"] == "404"


def test_a_body_that_is_too_large_is_not_read(api: Api) -> None:
    answer = api.http.post("/key/generate", content=b" " * (21 * 1024 * 1024))
    assert answer.status_code == 413
    pieces = (b" " * 65536 for _ in range(400))
    answer = api.http.post("/key/generate", content=pieces, headers={"content-type": "application/json"})
    assert answer.status_code == 413
