"""What a provider does wrong, as clients of the gateway see it: an error in their dialect, or another deployment."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.faulty_upstream import STREAM_HEAD, Asked, FaultyUpstream, chunk, whole_head
from tests.support.gateway_run import CHAT, MESSAGES, Answer, Gateway, ask, chat, gateway

FALLBACK = "ok"


async def reset_before_the_head(asked: Asked) -> None:
    asked.reset()


async def reset_in_the_head(asked: Asked) -> None:
    await asked.send(b"HTTP/1.1 200 OK\r\ncontent-ty")
    asked.reset()


async def closes_in_the_body(asked: Asked) -> None:
    body = asked.body()
    await asked.send(whole_head(len(body)) + body[: len(body) // 2])
    asked.writer.close()


async def two_lengths(asked: Asked) -> None:
    body = asked.body()
    await asked.send(whole_head(len(body), b"content-length: 5\r\n") + body)


async def length_and_chunked(asked: Asked) -> None:
    body = asked.body()
    await asked.send(whole_head(len(body), b"transfer-encoding: chunked\r\n") + chunk(body) + b"0\r\n\r\n")


async def a_line_that_goes_on(asked: Asked) -> None:
    body = asked.body()
    await asked.send(whole_head(len(body), b"x-folded: a\r\n b\r\n") + body)


async def no_json(asked: Asked) -> None:
    await asked.send(whole_head(9) + b"<html>no!")


async def stalls(asked: Asked) -> None:
    await asyncio.sleep(3600)


async def resets_between_chunks(asked: Asked) -> None:
    await asked.send(STREAM_HEAD + b"".join(chunk(frame) for frame in asked.frames()[:3]))
    await asyncio.sleep(0.05)
    asked.reset()


async def resets_in_a_frame(asked: Asked) -> None:
    frames = asked.frames()
    await asked.send(STREAM_HEAD + chunk(frames[0]) + chunk(frames[1]) + chunk(frames[2][:40]))
    await asyncio.sleep(0.05)
    asked.reset()


async def ends_too_early(asked: Asked) -> None:
    await asked.send(STREAM_HEAD + b"".join(chunk(frame) for frame in asked.frames()[:3]) + b"0\r\n\r\n")


async def stalls_between_chunks(asked: Asked) -> None:
    await asked.send(STREAM_HEAD + b"".join(chunk(frame) for frame in asked.frames()[:3]))
    await asyncio.sleep(3600)


async def bad_chunk(asked: Asked) -> None:
    await asked.send(STREAM_HEAD + b"".join(chunk(frame) for frame in asked.frames()[:3]))
    await asyncio.sleep(0.05)
    await asked.send(b"zz\r\nnonsense\r\n")


async def longer_than_said(asked: Asked) -> None:
    """A whole answer, and after it bytes that could pass for the next one."""
    body = asked.body()
    await asked.send(whole_head(len(body)) + body + whole_head(2) + b"{}")
    asked.received.whole = True


async def closes_after(asked: Asked) -> None:
    """Keeps the connection, it says, and closes it at once."""
    await asked.answer()
    asked.writer.close()


BEFORE = {each.__name__: each for each in (
    reset_before_the_head, reset_in_the_head, closes_in_the_body, two_lengths, length_and_chunked, a_line_that_goes_on,
    no_json, stalls,
)}  # fmt: skip
AMID = {each.__name__: each for each in (
    resets_between_chunks, resets_in_a_frame, ends_too_early, stalls_between_chunks, bad_chunk
)}  # fmt: skip
HARMLESS = {each.__name__: each for each in (longer_than_said, closes_after)}
NOBODY = {"refuses": "http://127.0.0.1:{free}", "has_no_address": "http://nobody.invalid"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[FaultyUpstream]:
    with FaultyUpstream(**BEFORE, **AMID, **HARMLESS) as server:
        yield server


@pytest.fixture(scope="module")
def running(upstream: FaultyUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        free = closed.getsockname()[1]
    models: list[dict[str, Any]] = []
    for dialect in ("chat", "messages"):
        for name in (*BEFORE, *AMID, *HARMLESS):
            models.append(upstream.deployment(f"{name}-{dialect}", name, dialect, id=f"{name}-{dialect}"))
        for name, address in NOBODY.items():
            base = address.format(free=free) + ("/v1" if dialect == "chat" else "")
            models.append(upstream.deployment(f"{name}-{dialect}", "ok", dialect) | {"api_base": base})
    models += [{**each, "name": f"{each['name']}-saved", "id": f"{each['name']}-saved"} for each in models]
    for each in models:
        each["id"] = each["name"]
    models.append(upstream.deployment("ok"))
    saved = {each["name"]: [FALLBACK] for each in models if each["name"].endswith("-saved")}
    routing = {
        "retries": 0, "fallbacks": saved, "first_token_timeout": 0.4, "between_tokens_timeout": 0.4, "cooldown": 0.01,
        "allowed_fails": 10_000,
    }  # fmt: skip
    with gateway(tmp_path_factory.mktemp("upstream"), models, routing=routing) as one:
        yield one


def asked_of(running: Gateway, cases: list[tuple[str, str, str, bool]], more: str = "") -> dict[Any, Answer]:
    """Ask all at once: (path, fault, dialect of the provider, stream)."""

    async def run() -> dict[Any, Answer]:
        bodies = {
            case: chat("-".join(map(str, case)).replace("/", "_"), f"{case[1]}-{case[2]}{more}", stream=case[3])
            for case in cases
        }  # fmt: skip
        answers = await asyncio.gather(
            *(asyncio.wait_for(ask(running.port, case[0], body), 20) for case, body in bodies.items())
        )
        return dict(zip(cases, answers, strict=True))

    return asyncio.run(run())


def is_error_of(path: str, value: Any) -> bool:
    if path == MESSAGES:
        return value["type"] == "error" and bool(value["error"]["type"]) and bool(value["error"]["message"])
    return bool(value["error"]["message"]) and "type" in value["error"]


def outcomes(running: Gateway, answers: dict[Any, Answer]) -> dict[Any, dict[str, Any]]:
    """The rows of these answers."""
    names = {answer.headers["x-penstock-call-id"]: case for case, answer in answers.items()}
    rows = running.rows_when(lambda rows: names.keys() <= {row["request_id"] for row in rows})
    return {names[row["request_id"]]: row for row in rows if row["request_id"] in names}


PATHS = (CHAT, MESSAGES)
DIALECTS = ("chat", "messages")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_what_fails_before_an_answer_is_an_error_in_the_clients_dialect(running: Gateway, stream: bool) -> None:
    cases = [(path, fault, to, stream) for path in PATHS for fault in (*BEFORE, *NOBODY) for to in DIALECTS]
    answers = asked_of(running, cases)
    rows = outcomes(running, answers)
    for case, answer in answers.items():
        assert answer.whole, case
        assert answer.status in ((408,) if case[1] == "stalls" else (502, 503)), case  # 408: LiteLLM's word for it
        assert is_error_of(case[0], answer.json), case
        assert b"fake-key" not in answer.body and b"Traceback" not in answer.body
        row = rows[case]
        assert (row["status"], row["metadata"]["outcome"]) == ("failure", "failure"), case
        assert [attempt["outcome"] for attempt in row["metadata"]["attempts"]] == ["failure"], case


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_another_deployment_answers_where_nothing_was_said_yet(
    running: Gateway, upstream: FaultyUpstream, stream: bool
) -> None:
    cases = [(path, fault, to, stream) for path in PATHS for fault in (*BEFORE, *NOBODY) for to in DIALECTS]
    answers = asked_of(running, cases, "-saved")
    rows = outcomes(running, answers)
    for case, answer in answers.items():
        assert answer.status == 200 and answer.whole, (case, answer.body)
        assert b"Answer" in answer.body and answer.headers["x-penstock-fallbacks"] == "1", case
        attempts = rows[case]["metadata"]["attempts"]
        assert [attempt["outcome"] for attempt in attempts] == ["failure", "success"], case
        assert rows[case]["metadata"]["outcome"] == "success"


def test_a_stream_that_breaks_ends_with_an_error_event(running: Gateway) -> None:
    cases = [(path, fault, to, True) for path in PATHS for fault in AMID for to in DIALECTS]
    answers = asked_of(running, cases)
    rows = outcomes(running, answers)
    for case, answer in answers.items():
        assert answer.status == 200 and answer.whole, case
        events = [part for part in answer.body.decode().split("\n\n") if "data:" in part]
        last = json.loads(events[-1][events[-1].index("data:") + 5 :])
        assert is_error_of(case[0], last), (case, events)
        assert b"[DONE]" not in answer.body and b"message_stop" not in answer.body, case
        assert all(_is_json(event) for event in events[:-1] if case[1] != "resets_in_a_frame"), case
        row = rows[case]
        assert (row["status"], row["metadata"]["outcome"]) == ("failure", "broken"), case
        assert row["spend"] > 0 and row["metadata"]["estimated"], case


def _is_json(event: str) -> bool:
    return isinstance(json.loads(event[event.index("data:") + 5 :]), dict)


def test_what_comes_after_an_answer_is_nobodys(running: Gateway, upstream: FaultyUpstream) -> None:
    """Bytes after the end of an answer, or a connection that closes as it is used again, harm no other request."""

    async def run() -> list[tuple[str, Answer]]:
        found = []
        for turn in range(30):
            for fault in HARMLESS:
                marker = f"{fault}.{turn}."
                found.append((marker, await ask(running.port, CHAT, chat(marker, f"{fault}-chat"))))
        return found

    for marker, answer in asyncio.run(run()):
        assert answer.status == 200, answer.body
        assert answer.json["choices"][0]["message"]["content"] == f"Answer to marker-{marker}"
        assert len(upstream.of(f"marker-{marker}")) == 1, "nothing was asked twice that had been read"


@pytest.mark.parametrize("path", PATHS)
def test_a_deployment_whose_streams_break_is_rested(path: str, upstream: FaultyUpstream, tmp_path: Path) -> None:
    broken = upstream.deployment("group", "resets_between_chunks", id="broken") | {"order": 1}
    good = upstream.deployment("group", id="good") | {"order": 2}
    routing = {"retries": 0, "allowed_fails": 1, "cooldown": 60}
    with gateway(tmp_path, [broken, good], workers=1, routing=routing) as one:
        served = [
            asyncio.run(ask(one.port, path, chat(f"breaks-{path[4:]}-{number}", "group", stream=True))).headers[
                "x-penstock-deployment"
            ]
            for number in range(4)
        ]
    assert served == ["broken", "broken", "good", "good"]
