"""An answer bears the name that its client asked by, and nothing else of it changes."""

from __future__ import annotations

import json

import pytest

from penstock.gateway.naming import StreamRenamer, renamed


@pytest.mark.parametrize(
    ("body", "after"),
    [
        (b'{"id":"x","model":"gpt-4o-2024","a":1.50}', b'{"id":"x","model":"mine","a":1.50}'),
        (b'{"id": "x", "model": "gpt-4o-2024", "a": 1.50}', b'{"id": "x", "model": "mine", "a": 1.50}'),
        (
            b'{"content":[{"input":{"model":"gpt-4o-2024"}}],"model":"gpt-4o-2024"}',
            b'{"content":[{"input":{"model":"gpt-4o-2024"}}],"model":"mine"}',
        ),
        (b'{"text":"\\"model\\":\\"gpt-4o-2024\\"","model":"gpt-4o-2024"}', None),
    ],
)
def test_the_name_of_a_whole_answer(body: bytes, after: bytes | None) -> None:
    found = renamed(body, "model", "gpt-4o-2024", "mine")
    assert after is None or found == after
    assert json.loads(found) == {**json.loads(body), "model": "mine"}


def test_any_name_can_be_asked_by() -> None:
    asked = 'gpt"\r\n\u00e9'
    assert json.loads(renamed(b'{"model":"a"}', "model", "a", asked))["model"] == asked


STREAMS = {
    "model": b'data: {"model":""}\n\ndata: {"id":1,"model":"%b","c":"\\"model\\":\\"%b\\""}\n\n',
    "message": b'event: message_start\r\ndata: {"type":"message_start","message":{"model": "%b"},"n":"%b"}\r\n\r\n',
    "response": b'data: {"metadata":{"model":"x"},"response":{"model":"%b"},"n":"%b"}\n\n',
}


@pytest.mark.parametrize("frames", STREAMS.values(), ids=STREAMS)
def test_the_name_in_a_stream(frames: bytes) -> None:
    rename = StreamRenamer("model", "mine")
    assert rename(b": comment\n\n") == b": comment\n\n"
    assert rename(frames % (b"theirs", b"theirs")) == frames % (b"mine", b"theirs")
    assert rename(b'data: {"model":"theirs"}\n\n').count(b"theirs") == (": " in str(frames.partition(b'model": ')[1]))
