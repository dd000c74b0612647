"""`python -m penstock.conformance` as a user runs it: on a small folder made up here, and on the recordings if they are
there.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.dialects.aws_event_stream import write_event, write_exception

REQUEST = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "x_unknown": [1, None]}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
ERROR = {"error": {"message": "No", "type": "invalid_request_error", "param": None, "code": None}}
STREAM = (
    'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    '{"role":"assistant","content":"Hi"},"finish_reason":null}]}\n\n: keep-alive\n\ndata: [DONE]\n\n'
)
MESSAGES = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
ARRAY_PATH = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
GEMINI = {"contents": [{"parts": [{"text": "Hello"}]}]}
GEMINI_ARRAY = [
    {"candidates": [{"content": {"parts": [{"text": "Hi"}], "role": "model"}, "index": 0}]},
    {"candidates": [{"content": {"parts": [{"text": "!"}], "role": "model"}, "finishReason": "STOP", "index": 0}]},
]
GEMINI_ERROR = [{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}]


def exchange(
    name: str,
    path: str = "/v1/chat/completions",
    body: Any = REQUEST,
    answer: Any = ANSWER,
    provider: str = "openai",
    status: int = 200,
    method: str = "POST",
    content_type: str = "application/json",
) -> dict[str, Any]:
    return {
        "id": name,
        "provider": provider,
        "request": {"method": method, "path": path, "headers": {}, "body": body},
        "response": {"status": status, "headers": {"content-type": content_type}, "body": answer},
    }


GOOD = [
    exchange("whole"),
    exchange("error", answer=ERROR, status=400),
    exchange("stream", body={**REQUEST, "stream": True}, answer=STREAM, content_type="text/event-stream"),
    exchange("claude", "/v1/messages", MESSAGES, MESSAGE, provider="anthropic"),
    exchange(
        "vectors",
        "/v1/embeddings",
        {"model": "e", "input": ["a"]},
        {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "e"},
    ),
]
ARRAYS = [
    exchange("gemini array", ARRAY_PATH, GEMINI, json.dumps(GEMINI_ARRAY, indent=2), provider="gemini"),
    exchange("gemini array, decoded", ARRAY_PATH, GEMINI, GEMINI_ARRAY, provider="gemini"),
    exchange("gemini error", ARRAY_PATH, GEMINI, GEMINI_ERROR, provider="gemini", status=503),
]
"""Streams as Google writes them for clients that do not ask for server-sent events."""
ELSEWHERE = [
    exchange("models", "/v1/models", None, {"data": []}, method="GET"),
    exchange("file", "/v1/files/file-abc123def456ghi789/content", None, {}, method="GET"),
    exchange("another file", "/v1/files/file-zyx987wvu654tsr321/content", None, {}, method="GET"),
]
NO_JSON = exchange("odd", body="this is no JSON", answer=ERROR, status=400)
BROKEN = exchange("lossy", answer={**ANSWER, "choices": "none"})

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def command(*exchanges: dict[str, Any], arguments: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        (tmp_path / "deep").mkdir(exist_ok=True)
        for number, each in enumerate(exchanges):
            folder = tmp_path if number % 2 else tmp_path / "deep"
            with (folder / "some.jsonl").open("a") as file:
                file.write(json.dumps(each) + "\n\n")
        return conformance(str(tmp_path), *arguments)

    return command


def conformance(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "penstock.conformance", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_all_that_holds_is_a_table_and_status_0(run: Run) -> None:
    done = run(*GOOD)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["provider", "dialect", "exchanges", "parsed", "round-tripped", "translated"]
    assert lines[1:4] == [
        ["anthropic", "anthropic_messages", "1", "1", "1", "1"],
        ["openai", "openai_chat", "3", "3", "3", "3"],
        ["openai", "openai_embeddings", "1", "1", "1", "1"],
    ]
    assert done.stdout.splitlines()[-1] == "5 exchanges: 5 checked, 0 skipped, 0 failed"


def test_streams_that_are_arrays_hold_in_any_form(run: Run) -> None:
    done = run(*ARRAYS)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    wrong = [*GEMINI_ARRAY, {"candidates": [{"content": {"parts": "none"}}]}]
    assert run(exchange("wrong", ARRAY_PATH, GEMINI, json.dumps(wrong), provider="gemini")).returncode == 1


INVOKED = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream"
INVOKE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": MESSAGES["messages"]}
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüße"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1}},
]


def wrapped(*events: dict[str, Any]) -> dict[str, str]:
    """The events as Bedrock's `invoke-with-response-stream` wraps them."""
    payloads = [{"bytes": base64.b64encode(json.dumps(event).encode()).decode(), "p": "abc"} for event in events]
    data = b"".join(write_event(json.dumps(payload).encode(), "chunk") for payload in payloads)
    return {"base64": base64.b64encode(data + write_exception(b'{"message":"slow"}', "throttlingException")).decode()}


def test_streams_that_bedrock_wraps_hold_too(run: Run) -> None:
    done = run(exchange("invoked", INVOKED, INVOKE, wrapped(*EVENTS), provider="bedrock"))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "bedrock   anthropic_messages          1" in done.stdout
    wrong = {**EVENTS[2], "index": "none"}
    assert run(exchange("wrong", INVOKED, INVOKE, wrapped(*EVENTS[:2], wrong), provider="bedrock")).returncode == 1


def test_what_does_not_hold_is_status_1_and_its_path_is_named(run: Run) -> None:
    done = run(*GOOD, BROKEN)
    assert done.returncode == 1
    failure = next(line for line in done.stdout.splitlines() if line.startswith("FAILED"))
    assert "openai openai_chat lossy" in failure and "choices" in failure
    assert done.stdout.splitlines()[-1] == "6 exchanges: 6 checked, 0 skipped, 1 failed"


def test_other_apis_are_skipped_by_name_and_counted(run: Run) -> None:
    done = run(*GOOD, *ELSEWHERE)
    assert done.returncode == 0
    skipped = [line.split(maxsplit=2) for line in done.stdout.splitlines() if line.startswith("skipped")]
    assert skipped == [
        ["skipped", "2", "openai GET /v1/files/{id}/content"],
        ["skipped", "1", "openai GET /v1/models"],
    ]
    assert done.stdout.splitlines()[-1] == "8 exchanges: 5 checked, 3 skipped, 0 failed"


def test_a_request_that_is_no_json_is_remarked_on(run: Run) -> None:
    done = run(NO_JSON)
    assert done.returncode == 0
    assert "remark odd: the request is no JSON: only the response was checked" in done.stdout


KEPT = exchange("kept", "/v1/chat/completions/chatcmpl-1", None, {**ANSWER, "object": "chat.completion"}, method="GET")


def test_a_kept_answer_that_is_fetched_is_checked_without_a_request(run: Run) -> None:
    done = run(KEPT)
    assert done.returncode == 0
    assert "remark kept: a kept answer that was fetched: there is no request" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 exchanges: 1 checked, 0 skipped, 0 failed"


def test_a_kept_answer_that_does_not_hold_fails(run: Run) -> None:
    broken = {**KEPT["response"], "body": {**ANSWER, "object": "chat.completion", "choices": "none"}}
    assert run({**KEPT, "response": broken}).returncode == 1


REFUSED = {"model": "gpt-4o", "messages": [{"role": "wizard", "content": "Hello"}]}


def test_a_request_that_both_refuse_is_remarked_on(run: Run) -> None:
    result = run(exchange("both", body=REFUSED, answer=ERROR, status=400))
    assert result.returncode == 0
    assert "remark both: the provider refused the request as invalid, and so does the dialect" in result.stdout


@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_request_that_only_the_dialect_refuses_fails(run: Run, status: int) -> None:
    result = run(exchange("one", body=REFUSED, answer=ANSWER if status == 200 else ERROR, status=status))
    assert result.returncode == 1
    assert "wizard" in result.stdout


@pytest.mark.parametrize("answer", [ERROR, {"error": "No"}, {"detail": "No"}, [{"error": {"message": "No"}}]], ids=str)
def test_an_error_under_a_status_of_success_is_checked_as_an_error(run: Run, answer: Any) -> None:
    result = run(exchange("hidden", answer=answer))
    assert result.returncode == 0
    assert "remark hidden: the answer is an error under a status of success" in result.stdout


def test_what_is_neither_an_answer_nor_an_error_fails(run: Run) -> None:
    assert run(exchange("odd", answer={"request_id": "r"})).returncode == 1


def test_a_model_that_only_the_path_names_is_not_added_to_the_body(run: Run) -> None:
    body = {"messages": REQUEST["messages"]}
    assert run(exchange("azure", "/openai/deployments/gpt-4o/chat/completions", body)).returncode == 0


def test_an_event_without_data_is_none(run: Run) -> None:
    answer = STREAM.replace("data: [DONE]", "data: \n\ndata: [DONE]")
    assert run(exchange("empty", answer=answer)).returncode == 0


def test_json_for_machines(run: Run) -> None:
    done = run(*GOOD, *ELSEWHERE, NO_JSON, BROKEN, arguments=("--json",))
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert (report["exchanges"], report["checked"], report["failed"]) == (10, 7, 1)
    rows = {(row["provider"], row["dialect"]): row for row in report["rows"]}
    chat = rows["openai", "openai_chat"]
    assert (chat["exchanges"], chat["parsed"], chat["round_tripped"], chat["translated"]) == (5, 4, 4, 4)
    assert [each["exchange"] for each in chat["failures"]] == ["lossy"]
    assert report["skipped"] == {"openai GET /v1/files/{id}/content": 2, "openai GET /v1/models": 1}
    assert list(report["remarks"]) == ["odd"]


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '"x"', '{"id": "x"}', '{"request": {"path": 3}, "response": {"status": 200}}', '{"request": []}'],
)
def test_a_folder_that_cannot_be_read_is_status_2_and_says_where(tmp_path: Path, line: str) -> None:
    (tmp_path / "some.jsonl").write_text(f"{json.dumps(GOOD[0])}\n{line}\n")
    done = conformance(str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "some.jsonl, line 2" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [(), ("/nonexistent",), ("--jason", ".")])
def test_no_folder_is_status_2(arguments: tuple[str, ...]) -> None:
    done = conformance(*arguments)
    assert done.returncode == 2
    assert done.stderr and "Traceback" not in done.stderr


def test_an_empty_folder_is_status_2(tmp_path: Path) -> None:
    done = conformance(str(tmp_path))
    assert done.returncode == 2 and "no .jsonl" in done.stderr


def test_the_recorded_exchanges_all_hold(shared: Callable[..., Path]) -> None:
    done = conformance(str(shared("provider-exchanges")), "--json")
    report = json.loads(done.stdout)
    failures = [each for row in report["rows"] for each in row["failures"]]
    assert failures == []
    assert (done.returncode, report["exchanges"], report["failed"]) == (0, 1018, 0)
    assert report["checked"] + sum(report["skipped"].values()) == 1018
