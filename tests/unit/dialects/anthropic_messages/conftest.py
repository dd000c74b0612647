"""A server that answers what it is told, and the official client that asks it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anthropic
import pytest


class Answerer(ThreadingHTTPServer):
    """Answers every POST with `answer`: (status, content type, body)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: tuple[int, str, bytes] = (500, "text/plain", b"")

    def whole(self, body: dict[str, Any], status: int = 200) -> None:
        """Answer with a JSON object."""
        self.answer = (status, "application/json", json.dumps(body).encode())

    def stream(self, body: bytes) -> None:
        """Answer with a stream of server-sent events."""
        self.answer = (200, "text/event-stream", body)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        status, kind, body = self.server.answer  # type: ignore[attr-defined]  # an Answerer
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def answerer() -> Iterator[Answerer]:
    with Answerer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def official(answerer: Answerer) -> Iterator[anthropic.Anthropic]:
    """The official client, which checks every answer against its own models."""
    with anthropic.Anthropic(
        base_url=f"http://127.0.0.1:{answerer.server_port}",
        api_key="sk-fake",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client
