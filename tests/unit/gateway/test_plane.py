"""What the configuration says reaches the calls of a worker: timeouts, headers, variables, networks."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from penstock.dialects import registry
from penstock.exchange import Timeouts
from penstock.gateway.plane import Plane, Shared
from penstock.gateway.snapshot import Snapshot
from penstock.gateway.targets import Target
from penstock.providers.registry import default_registry
from penstock.routing.overrides import NO_OVERRIDES
from penstock.types.errors import ErrorResponse
from tests.support.configs import loaded


def plane(snapshot: Snapshot, environment: dict[str, str] | None = None) -> Plane:
    given: dict[str, Any] = dict.fromkeys(Shared.__struct_fields__)
    shared = Shared(**{**given, "registry": default_registry(), "environment": environment or {}, "policies": ()})
    return Plane(shared, snapshot)


def call(stream: bool = False, **headers: str) -> Any:
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    inbound = SimpleNamespace(headers=named, header=lambda name: named.get(name, b"").decode("latin-1"))
    return SimpleNamespace(overrides=NO_OVERRIDES, peeked=SimpleNamespace(stream=stream), inbound=inbound)


@pytest.mark.parametrize(
    ("said", "timeouts"),
    [
        ("", Timeouts(connect=2.0, first_token=60.0, between_tokens=50.0, total=70.0)),
        ("first_token_timeout: 5", Timeouts(connect=2.0, first_token=5.0, between_tokens=50.0, total=70.0)),
        (
            "connect_timeout: 1, between_tokens_timeout: 3, timeout: 9",
            Timeouts(connect=1.0, first_token=60.0, between_tokens=3.0, total=9.0),
        ),
    ],
)
def test_what_a_deployment_does_not_say_of_its_timeouts_is_as_usual(said: str, timeouts: Timeouts) -> None:
    routing = "{connect_timeout: 2, first_token_timeout: 60, between_tokens_timeout: 50, timeout: 70}"
    snapshot = loaded(f"models: [{{name: a, model: demo, {said}}}]\nrouting: {routing}").snapshot
    assert plane(snapshot).timeouts(snapshot.deployments[0]) == timeouts


@pytest.mark.parametrize(
    ("forwarded", "passed"),
    [
        ("[]", {"traceparent"}),
        ("[X-Team]", {"traceparent", "x-team"}),
        ("[x-*]", {"traceparent", "x-team", "x-other"}),
        ("['*']", {"traceparent", "x-team", "x-other", "accept"}),
        ("[authorization, x-api-key, cookie]", {"traceparent"}),
    ],
)
def test_headers_that_go_on_never_bear_the_clients_key(forwarded: str, passed: set[str]) -> None:
    made = plane(loaded(f"general: {{forward_headers: {forwarded}}}").snapshot)
    asked = call(
        traceparent="00-1-2-01",
        x_team="a",
        x_other="b",
        x_api_key="sk-fake",
        x_penstock_timeout="3",
        x_litellm_api_key="sk-fake",
        authorization="Bearer sk-fake",
        cookie="c",
        accept="d",
        x_odd="a\r\nb: c",
    )
    assert {name for name, _ in made.passed_on(asked)} == passed


def test_variables_of_the_configuration_come_before_those_of_the_process() -> None:
    snapshot = loaded("environment_variables: {OPENAI_API_KEY: fake-of-the-file}").snapshot
    made = plane(snapshot, {"OPENAI_API_KEY": "fake-of-the-process", "OTHER": "x"})
    assert made.engine.environment["OPENAI_API_KEY"] == "fake-of-the-file"
    assert made.engine.environment["OTHER"] == "x"


def test_a_deployments_own_way_to_its_provider() -> None:
    network = "{proxy: 'http://proxy:1', ca: /ca.pem, cert: /c.pem, key: /k.pem, verify: false}"
    snapshot = loaded(f"models: [{{name: a, model: openai/x, api_key: k, network: {network}}}]").snapshot
    made = plane(snapshot)
    target = Target(made.engine, snapshot.deployments[0])
    assert (target.network.proxy, target.network.ca_file) == ("http://proxy:1", "/ca.pem")
    assert (target.network.cert, target.network.verify) == (("/c.pem", "/k.pem"), False)
    assert target.defaults == {}


CONFIG_WITH_SECRETS = """
models:
  - name: a
    model: openai/x
    api_base: https://models.example.com:8443/v1
    api_key: sk-fake-of-the-deployment
    headers: {x-gate: fake-gate-word, authorization: Bearer fake-bearer-word}
"""


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("sk-fake-of-the-deployment", "[key removed]"),
        ("fake-gate-word", "[key removed]"),
        ("fake-bearer-word", "[key removed]"),
        ("sk-fake-of-the-environment", "[key removed]"),
        ("https://models.example.com:8443/v1", "[address removed]"),
        ("https://base.example.org/v1", "[address removed]"),
        ("https://platform.openai.com/account", "https://platform.openai.com/account"),
    ],
)
def test_what_the_configuration_keeps_does_not_leave_in_errors(said: str, left: str) -> None:
    environment = {"OPENAI_API_KEY": "sk-fake-of-the-environment", "ANTHROPIC_API_BASE": "https://base.example.org"}
    made = plane(loaded(CONFIG_WITH_SECRETS).snapshot, environment)
    error = ErrorResponse(kind="server", status=500, message=f"no: {said}")
    _, body = made.refusal(registry.get("openai_chat"), error)
    assert json.loads(body)["error"]["message"] == f"no: {left}"


def test_an_address_that_the_client_gave_is_told_back() -> None:
    made = plane(loaded("models: []").snapshot)
    error = ErrorResponse(kind="invalid_request", status=400, message="http://10.0.0.1/a was not read", native="media")
    assert b"http://10.0.0.1/a was not" in made.refusal(registry.get("openai_chat"), error)[1]


@pytest.mark.parametrize("status", [100, 200, 302, 399, 600, 999])
@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "gemini"])
def test_a_status_that_is_none_of_errors_is_not_passed_on(dialect: str, status: int) -> None:
    error = ErrorResponse(kind="server", status=status, message="odd")
    found, body = plane(loaded("models: []").snapshot).refusal(registry.get(dialect), error)
    assert found == 502
    assert "odd" in json.loads(body)["error"]["message"]
