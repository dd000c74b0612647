"""The mock upstream: what it answers is what providers answer, as their own clients read it, and it counts."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from bench.gateway import messages
from bench.gateway.drivers.streams import Streams
from bench.gateway.mock import answers, streams
from bench.gateway.peers.peer import Job, request
from tests.support import need

MESSAGES: Any = [{"role": "user", "content": "Hello"}]
CORE = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[streams.Streams]:
    found = streams.start(tmp_path, CORE)
    yield found
    found.program.stop()


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[int]:
    need(command="nginx", hint="apt-get install nginx-light")
    program, port = answers.start(tmp_path, CORE)
    yield port
    program.stop()


def chat_client(port: int) -> openai.OpenAI:
    return openai.OpenAI(api_key="fake", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0)


def test_whole_answers_are_those_of_the_providers(whole: int) -> None:
    with chat_client(whole) as client:
        answer = client.chat.completions.create(model="m", messages=MESSAGES)
    assert messages.ANSWER_MARK in str(answer.choices[0].message.content)
    assert answer.usage and answer.usage.total_tokens == messages.INPUT_TOKENS + messages.OUTPUT_TOKENS
    with anthropic.Anthropic(api_key="fake", base_url=f"http://127.0.0.1:{whole}", max_retries=0) as other:
        message = other.messages.create(model="m", max_tokens=10, messages=MESSAGES)
    assert messages.ANSWER_MARK in getattr(message.content[0], "text", "")
    assert message.usage.output_tokens == messages.OUTPUT_TOKENS


def test_whole_answers_are_counted(whole: int) -> None:
    before = answers.count(whole)
    with chat_client(whole) as client:
        for _ in range(3):
            client.chat.completions.create(model="m", messages=MESSAGES)
    assert answers.count(whole) - before == 3 + 1, "three, and the page that was read before"


def test_a_page_without_a_count_is_an_error() -> None:
    with pytest.raises(ValueError, match="no count"):
        answers.read_count("404 Not Found")


@pytest.mark.parametrize("interval", [0.0, 0.002])
@pytest.mark.parametrize("with_usage", [True, False])
def test_a_stream_is_that_of_the_provider(mock: streams.Streams, interval: float, with_usage: bool) -> None:
    mock.pace(7, interval)
    options: Any = {"stream_options": {"include_usage": True}} if with_usage else {}
    before = time.monotonic_ns()
    with chat_client(mock.port) as client:
        found = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True, **options))
    texts = [chunk.choices[0].delta.content for chunk in found if chunk.choices and chunk.choices[0].delta.content]
    stamps = [int(text, 16) for text in texts]
    assert len(stamps) == 7 and stamps == sorted(stamps)
    assert before < stamps[0] and stamps[-1] < time.monotonic_ns()
    assert [chunk.choices[0].finish_reason for chunk in found if chunk.choices][-1] == "stop"
    usages = [chunk.usage.completion_tokens for chunk in found if chunk.usage]
    assert usages == ([7] if with_usage else [])


def test_it_answers_whole_too(mock: streams.Streams) -> None:
    with chat_client(mock.port) as client:
        answer = client.chat.completions.create(model="m", messages=MESSAGES)
    assert messages.ANSWER_MARK in str(answer.choices[0].message.content)


def test_it_counts_streams_that_end_and_that_are_left(mock: streams.Streams) -> None:
    mock.pace(30, 0.002)
    target = request(Job.CHAT_STREAM, mock.port, "m")
    read = Streams(target, 5, 5)
    assert read.finish(20) == 0
    mock.pace(1000, 0.01)
    left = Streams(target, 3, 3)
    left.wait_until_begun()
    left.close()
    while (counts := mock.counts()).cut < 3:
        time.sleep(0.01)
    assert (counts.requests, counts.opened, counts.finished, counts.cut) == (8, 8, 5, 3)
    assert counts.chunks >= 5 * 30


def test_what_a_slow_reader_leaves_is_kept_for_it(mock: streams.Streams) -> None:
    """More than its socket takes: all of it comes once it is read, in order and complete."""
    mock.pace(40_000, 0.0)
    target = request(Job.CHAT_STREAM, mock.port, "m")
    with socket.create_connection(("127.0.0.1", mock.port)) as connection:
        connection.send(target.raw())
        while not mock.counts().unread:
            time.sleep(0.01)
        body = b""
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(1 << 20)
    assert len(streams.STAMP.findall(body)) == 40_000
    assert mock.counts().unread == 0
