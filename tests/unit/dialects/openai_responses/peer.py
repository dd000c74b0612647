"""The official `openai` client, talking to bytes that we rendered instead of a server."""

import json
from typing import Any

import httpx
import openai


def client(body: bytes | dict[str, Any], status: int = 200) -> openai.OpenAI:
    """A client whose every call is answered with `body`: an object as JSON, bytes as a stream of events."""
    kind = "text/event-stream" if isinstance(body, bytes) else "application/json"
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=content, headers={"content-type": kind}))
    web: Any = httpx.Client(transport=transport)
    return openai.OpenAI(api_key="not-a-key", base_url="http://peer.invalid/v1", http_client=web, max_retries=0)


def accumulate(data: bytes) -> Any:
    """The answer that the client's own accumulator makes of a stream; it raises where the stream breaks its rules."""
    with client(data) as official, official.responses.stream(model="m", input="Hello") as stream:
        for _ in stream:
            pass
        return stream.get_final_response()


def events(data: bytes) -> list[Any]:
    """The typed events that the client sees, without accumulating them."""
    with client(data) as official:
        return list(official.responses.create(model="m", input="Hello", stream=True))
