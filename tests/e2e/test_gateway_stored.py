"""What providers keep (responses, files, batches) through a running gateway of two workers: made on one, fetched on
either, at the deployment that has it, and only by who made it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from penstock.testing.providers import SimulatedProviders
from tests.e2e.gateway import KEY, Running, environment_for, serving

SPREAD = 12
"""Fresh connections after which both of two workers were asked, but for one case in two thousand."""


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[SimulatedProviders, SimulatedProviders]]:
    """Two accounts: what one keeps, the other has never heard of. Ids are numbers of requests: they must not meet."""
    with SimulatedProviders() as one, SimulatedProviders() as two, httpx.Client() as client:
        for _ in range(500):
            client.get(two.url("openai") + "/v1/models", headers={"authorization": "Bearer sk-fake"})
        yield one, two


@pytest.fixture(scope="module")
def gateway(
    servers: tuple[SimulatedProviders, SimulatedProviders], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    models: list[dict[str, Any]] = [
        {"name": "gpt", "id": f"account-{number}", "model": "openai/gpt-4o", "api_key": "sk-fake", "api_base": each}
        for number, each in enumerate(server.url("openai") for server in servers)
    ]
    models.append({**models[1], "name": "second", "id": "account-second"})
    claude = {"model": "anthropic/claude-sonnet-4-5", "api_key": "sk-fake", "api_base": servers[0].url("anthropic")}
    models += [
        {"name": "claude", "id": "claude", **claude},
        {"name": "dropping", "id": "claude-dropping", "drop_params": True, **claude},
        {"name": "mixed", "id": "mixed-claude", "weight": 1000, **claude},
        {**models[1], "name": "mixed", "id": "mixed-account"},
    ]
    config = tmp_path_factory.mktemp("stored") / "penstock.yaml"
    config.write_text(json.dumps({"models": models, "routing": {"retries": 0}}))
    environment = environment_for(servers[0], PENSTOCK_MASTER_KEY=KEY)
    with serving(environment, "--config", str(config), "--workers", "2") as running:
        yield running


@pytest.fixture(scope="module")
def key(gateway: Running) -> str:
    return new_key(gateway)


def new_key(gateway: Running, **fields: Any) -> str:
    answer = httpx.post(f"{gateway.url}/key/generate", json=fields, headers={"authorization": f"Bearer {KEY}"})
    made: str = answer.json()["key"]
    return made


def ask(gateway: Running, key: str, method: str, path: str, **more: Any) -> httpx.Response:
    """On a connection of its own: any worker may get it."""
    headers = {"authorization": f"Bearer {key}", **more.pop("headers", {})}
    return httpx.request(method, gateway.url + path, headers=headers, timeout=30, **more)


def client_of(gateway: Running, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0)


# -- responses --------------------------------------------------------------------------------------------------------


def test_a_response_is_found_by_every_worker_at_once(gateway: Running, key: str) -> None:
    for _ in range(3):
        made = ask(gateway, key, "POST", "/v1/responses", json={"model": "gpt", "input": "Hi"})
        assert made.status_code == 200, made.text
        for _ in range(SPREAD):
            found = ask(gateway, key, "GET", f"/v1/responses/{made.json()['id']}")
            assert found.status_code == 200, found.text
            assert found.json()["id"] == made.json()["id"]
            assert found.headers["x-penstock-deployment"] == made.headers["x-penstock-deployment"]


def test_the_life_of_a_response(gateway: Running, key: str) -> None:
    with client_of(gateway, key) as client:
        made = client.responses.create(model="gpt", input="Hi")
        assert client.responses.retrieve(made.id).output_text == made.output_text
        assert client.responses.input_items.list(made.id).data
        client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(made.id)


def test_a_background_response_is_cancelled(gateway: Running, key: str) -> None:
    with client_of(gateway, key) as client:
        made = client.responses.create(model="gpt", input="Hi", background=True)
        assert client.responses.cancel(made.id).id == made.id


def test_a_streamed_response_is_kept_too(gateway: Running, key: str) -> None:
    with client_of(gateway, key) as client, client.responses.create(model="gpt", input="Hi", stream=True) as stream:
        (made,) = [event.response for event in stream if event.type == "response.completed"]
        for _ in range(SPREAD):
            assert ask(gateway, key, "GET", f"/v1/responses/{made.id}").status_code == 200


@pytest.mark.parametrize(
    ("method", "below"), [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")]
)
def test_what_is_anothers_is_not_there(gateway: Running, key: str, method: str, below: str) -> None:
    made = ask(gateway, key, "POST", "/v1/responses", json={"model": "gpt", "input": "Hi"}).json()["id"]
    other = new_key(gateway)
    for _ in range(4):
        refused = ask(gateway, other, method, f"/v1/responses/{made}{below}")
        assert refused.status_code == 404 and refused.json()["error"]["message"]
    assert ask(gateway, KEY, "GET", f"/v1/responses/{made}").status_code == 200
    assert ask(gateway, key, "GET", "/v1/responses/resp_never").status_code == 404
    assert ask(gateway, key, "PUT", f"/v1/responses/{made}").status_code == 405


def test_a_conversation_goes_on_where_it_began(
    gateway: Running, key: str, servers: tuple[SimulatedProviders, SimulatedProviders]
) -> None:
    for _ in range(4):
        first = ask(gateway, key, "POST", "/v1/responses", json={"model": "gpt", "input": "Hi"})
        for _ in range(4):
            body = {"model": "gpt", "input": "And?", "previous_response_id": first.json()["id"]}
            then = ask(gateway, key, "POST", "/v1/responses", json=body)
            assert then.status_code == 200, then.text
            assert then.headers["x-penstock-deployment"] == first.headers["x-penstock-deployment"]
            assert then.json()["previous_response_id"] == first.json()["id"]


def test_nobody_goes_on_with_anothers_conversation(gateway: Running, key: str) -> None:
    first = ask(gateway, key, "POST", "/v1/responses", json={"model": "gpt", "input": "Hi"}).json()["id"]
    body = {"model": "gpt", "input": "And?", "previous_response_id": first}
    refused = ask(gateway, new_key(gateway), "POST", "/v1/responses", json=body)
    assert refused.status_code == 404 and refused.json()["error"]["param"] == "previous_response_id"


def test_a_conversation_cannot_go_on_with_a_model_that_there_is_not(gateway: Running) -> None:
    first = ask(gateway, KEY, "POST", "/v1/responses", json={"model": "gpt", "input": "Hi"}).json()["id"]
    body = {"model": "nobody", "input": "And?", "previous_response_id": first}
    refused = ask(gateway, KEY, "POST", "/v1/responses", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "kept", [{"previous_response_id": "resp_1"}, {"conversation": "conv_1"}, {"conversation": {"id": "conv_1"}}]
)
@pytest.mark.parametrize("model", ["claude", "dropping"])
def test_no_conversation_is_answered_without_its_beginning(
    gateway: Running,
    key: str,
    servers: tuple[SimulatedProviders, SimulatedProviders],
    model: str,
    kept: dict[str, Any],
    stream: bool,
) -> None:
    before = len(servers[0].requests)
    body = {"model": model, "input": "And?", "stream": stream, **kept}
    refused = ask(gateway, key, "POST", "/v1/responses", json=body)
    error = refused.json()["error"]
    assert (refused.status_code, error["type"], error["param"]) == (400, "invalid_request_error", *kept)
    assert "Send the whole conversation in `input`" in error["message"]
    assert len(servers[0].requests) == before, "nothing is sent"


def test_a_conversation_that_a_translated_answer_began_is_refused_too(gateway: Running, key: str) -> None:
    first = ask(gateway, key, "POST", "/v1/responses", json={"model": "claude", "input": "Hi"}).json()["id"]
    body = {"model": "claude", "input": "And?", "previous_response_id": first}
    assert ask(gateway, key, "POST", "/v1/responses", json=body).status_code == 400
    for nothing in (None, ""):
        answer = ask(gateway, key, "POST", "/v1/responses", json={**body, "previous_response_id": nothing})
        assert answer.status_code == 200, answer.text


def test_who_cannot_go_on_with_a_conversation_is_passed_over(gateway: Running, key: str) -> None:
    first = ask(gateway, key, "POST", "/v1/responses", json={"model": "second", "input": "Hi"}).json()["id"]
    for _ in range(4):
        body = {"model": "mixed", "input": "And?", "previous_response_id": first}
        then = ask(gateway, key, "POST", "/v1/responses", json=body)
        assert then.status_code == 200, then.text
        assert then.headers["x-penstock-deployment"] == "mixed-account"


# -- files and batches ------------------------------------------------------------------------------------------------


def test_the_life_of_a_file(gateway: Running, key: str) -> None:
    with client_of(gateway, key) as client:
        made = client.files.create(file=("a.jsonl", b'{"a": 1}\n'), purpose="batch")
        assert client.files.retrieve(made.id).filename == "a.jsonl"
        assert client.files.content(made.id).content == b'{"a": 1}\n'
        for _ in range(SPREAD):
            assert ask(gateway, key, "GET", f"/v1/files/{made.id}").status_code == 200
        assert ask(gateway, new_key(gateway), "GET", f"/v1/files/{made.id}/content").status_code == 404
        assert client.files.delete(made.id).deleted
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(made.id)


@pytest.mark.parametrize(
    "how",
    [
        {"extra_body": {"target_model_names": "second"}},
        {"extra_query": {"model": "second"}},
        {"extra_headers": {"x-litellm-model": "second"}},
    ],
)
def test_the_model_says_where_a_file_goes(
    gateway: Running, key: str, servers: tuple[SimulatedProviders, SimulatedProviders], how: dict[str, Any]
) -> None:
    with client_of(gateway, key) as client:
        before = len(servers[1].requests)
        client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch", **how)
        sent = servers[1].last
        assert len(servers[1].requests) == before + 1
        assert {part.name for part in sent.form} == {"file", "purpose"}, "what is for the gateway stays here"


def test_the_provider_says_where_a_file_goes(gateway: Running, key: str) -> None:
    with client_of(gateway, key) as client:
        made = client.files.create(
            file=("a.jsonl", b"{}\n"), purpose="batch", extra_body={"custom_llm_provider": "openai"}
        )
        assert made.id
        with pytest.raises(openai.NotFoundError, match="mistral"):
            client.files.create(
                file=("a.jsonl", b"{}\n"), purpose="batch", extra_body={"custom_llm_provider": "mistral"}
            )


def test_a_key_puts_files_only_where_its_models_are(gateway: Running) -> None:
    narrow = new_key(gateway, models=["second"])
    with client_of(gateway, narrow) as client:
        client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch", extra_query={"model": "second"})
        with pytest.raises((openai.PermissionDeniedError, openai.AuthenticationError)):
            client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch", extra_query={"model": "gpt"})


def test_lists_are_for_the_master(gateway: Running, key: str) -> None:
    with client_of(gateway, KEY) as master, client_of(gateway, key) as other:
        master.files.create(file=("b.jsonl", b"{}\n"), purpose="batch")
        assert any(file.filename == "b.jsonl" for file in master.files.list().data)
        assert isinstance(master.batches.list().data, list)
        with pytest.raises(openai.PermissionDeniedError):
            other.files.list()
        with pytest.raises(openai.PermissionDeniedError):
            other.batches.list()


def test_the_life_of_a_batch(gateway: Running, key: str) -> None:
    line = {
        "custom_id": "one",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]},
    }
    with client_of(gateway, key) as client:
        file = client.files.create(
            file=("a.jsonl", json.dumps(line).encode()), purpose="batch", extra_query={"model": "second"}
        )
        made = ask(
            gateway,
            key,
            "POST",
            "/v1/batches",
            json={"input_file_id": file.id, "endpoint": "/v1/chat/completions", "completion_window": "24h"},
        )
        assert made.status_code == 200, made.text
        assert made.headers["x-penstock-deployment"] == "account-second", "where its file is"
        done = client.batches.retrieve(made.json()["id"])
        assert done.status == "completed" and done.output_file_id
        answers = client.files.content(done.output_file_id).text
        assert json.loads(answers.splitlines()[0])["custom_id"] == "one"
        for _ in range(SPREAD):
            assert ask(gateway, key, "GET", f"/v1/batches/{made.json()['id']}").status_code == 200
        other = new_key(gateway)
        assert ask(gateway, other, "GET", f"/v1/batches/{made.json()['id']}").status_code == 404
        assert ask(gateway, other, "GET", f"/v1/files/{done.output_file_id}/content").status_code == 404
        body = {"input_file_id": file.id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        assert ask(gateway, other, "POST", "/v1/batches", json=body).status_code == 404


def test_a_batch_is_cancelled(gateway: Running, key: str) -> None:
    with client_of(gateway, key) as client:
        file = client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
        batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        assert client.batches.cancel(batch.id).status in ("cancelling", "cancelled", "failed")


def test_the_ledger_has_them(gateway: Running, key: str) -> None:
    made = ask(gateway, key, "POST", "/v1/files", files={"file": ("a.jsonl", b"{}\n")}, data={"purpose": "batch"})
    assert made.status_code == 200, made.text
    for _ in range(100):
        path = f"/spend/logs?request_id={made.headers['x-penstock-call-id']}"
        if rows := ask(gateway, KEY, "GET", path).json():
            assert rows[0]["spend"] == 0 and rows[0]["status"] == "success"
            return
        time.sleep(0.05)
    raise AssertionError("no row")


def test_errors_of_the_provider_come_as_they_are(gateway: Running, key: str) -> None:
    refused = ask(gateway, key, "POST", "/v1/files", files={"file": ("a", b"x")}, data={"purpose": "nonsense"})
    assert refused.status_code == 400 and "purpose" in refused.text
