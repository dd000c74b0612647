"""Embedding calls: forms of vectors, every format of the catalog, and parts that share one deadline."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import Client, exceptions
from penstock.calls.embedding_shape import in_form
from penstock.dialects import embeddings
from penstock.exchange import Clock, HTTPRequest, Reply, Send
from penstock.providers.wire_formats import WIRE_FORMATS

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(vector=st.lists(floats))
def test_base64_and_back_is_the_same_vector(vector: list[float]) -> None:
    text = in_form(vector, "base64")
    assert base64.b64decode(text) == struct.pack(f"<{len(vector)}f", *vector)
    assert in_form(text, None) == in_form(text, "float") == vector
    assert in_form(text, "base64") == text


def test_every_embedding_format_of_the_catalog_is_spoken() -> None:
    served = {name for name, wire_format in WIRE_FORMATS.items() if wire_format.capability == "embeddings"}
    assert served == {*embeddings.HOMES, *embeddings.VARIANTS}
    assert all(embeddings.get(name).name == name for name in served)


class Answering:
    """A transport that answers every request with one vector an input, and lets time pass."""

    def __init__(self) -> None:
        self.requests: list[HTTPRequest] = []
        self.now = 0.0

    def send(self, send: Send) -> Reply:
        self.requests.append(send.request)
        self.now += 4.0
        body = json.loads(send.request.body)
        if "content" in body:
            answer: Any = {"embedding": {"values": [1.0, 2.0]}, "usageMetadata": {"promptTokenCount": 3}}
        else:
            answer = {"id": "e", "embeddings": {"float": [[1.0]] * len(body["texts"])}}
        return Reply(200, {"content-type": "application/json"}, json.dumps(answer).encode())

    def close(self) -> None:
        pass


def test_embed_content_takes_one_at_a_time() -> None:
    transport = Answering()
    client = Client(environment={}, transport=transport, num_retries=0)
    answer = client.embeddings.create(
        model="vertex_ai/gemini-embedding-2",
        input=["a", "b"],
        dimensions=2,
        vertex_project="p",
        vertex_location="us-central1",
        api_key="fake",
    )
    assert [item.embedding for item in answer.data] == [[1.0, 2.0], [1.0, 2.0]]
    assert [item.index for item in answer.data] == [0, 1]
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 6
    assert [json.loads(request.body)["content"] for request in transport.requests] == [
        {"parts": [{"text": "a"}]},
        {"parts": [{"text": "b"}]},
    ]
    assert all(request.url.partition("?")[0].endswith(":embedContent") for request in transport.requests)
    assert all("model" not in json.loads(request.body) for request in transport.requests)


def test_all_parts_share_one_deadline() -> None:
    transport = Answering()
    clock = Clock(monotonic=lambda: transport.now, unix=lambda: 0.0)
    client = Client(environment={}, transport=transport, clock=clock, api_key="fake", num_retries=0, timeout=10.0)
    assert len(client.embeddings.create(model="cohere/embed-v4.0", input=["a"] * 192).data) == 192
    with pytest.raises(exceptions.Timeout, match="deadline"):
        client.embeddings.create(model="cohere/embed-v4.0", input=["a"] * 960)
