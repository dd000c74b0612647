"""A server that answers what it is told and keeps what it was asked, and the official client that asks it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from google import genai
from google.genai import types


class Answerer(ThreadingHTTPServer):
    """Answers every POST with `answer`: (status, content type, body); `asked` is (path, body) of the last one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: tuple[int, str, bytes] = (500, "text/plain", b"")
        self.asked: tuple[str, Any] = ("", None)

    def whole(self, body: Any, status: int = 200) -> None:
        """Answer with a JSON value."""
        self.answer = (status, "application/json", json.dumps(body).encode())

    def stream(self, body: bytes) -> None:
        """Answer with a stream of server-sent events."""
        self.answer = (200, "text/event-stream", body)


class _Handler(BaseHTTPRequestHandler):
    server: Answerer

    def do_POST(self) -> None:
        self.server.asked = (self.path, json.loads(self.rfile.read(int(self.headers["content-length"]))))
        status, kind, body = self.server.answer
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
def official(answerer: Answerer) -> Iterator[genai.Client]:
    """The official client, which checks every answer against its own models."""
    options = types.HttpOptions(
        base_url=f"http://127.0.0.1:{answerer.server_port}", retry_options=types.HttpRetryOptions(attempts=1)
    )
    client = genai.Client(api_key="fake-key", http_options=options)
    yield client
    client.close()
