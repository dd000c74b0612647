"""However many calls need a token at once, one fetches it: threads, tasks, and both at once, over real sockets."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from penstock import AsyncClient, Client

ANSWER = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}
ASK: list[Any] = [{"role": "user", "content": "Hello"}]
CROWD = 12


class Workspace:
    """A host that hands out tokens and answers calls, as Databricks does. It gives no token before `open` is set, and
    lets everybody know by `asked` that one was asked for.
    """

    def __init__(self) -> None:
        self.asked, self.open = threading.Event(), threading.Event()
        self.tokens = 0
        self.seen: list[str] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def token(self) -> dict[str, Any]:
        with self._lock:
            self.tokens += 1
            number = self.tokens
        self.asked.set()
        self.open.wait(30)
        return {"access_token": f"t{number}", "expires_in": 3600}

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "model": "databricks/m",
            "messages": ASK,
            "num_retries": 0,
            "databricks_host": f"http://127.0.0.1:{self._server.server_port}",
            "client_id": "fake-client",
            "client_secret": "fake-secret",
        }

    def __enter__(self) -> Workspace:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(workspace: Workspace) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            if self.path.endswith("/oidc/v1/token"):
                answer = workspace.token()
            else:
                workspace.seen.append(self.headers["authorization"])
                answer = ANSWER
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace() as running:
        yield running


def test_threads(workspace: Workspace) -> None:
    with Client() as client, ThreadPoolExecutor(CROWD) as pool:
        create: Any = client.chat.completions.create
        calls = [pool.submit(create, **workspace.arguments) for _ in range(CROWD)]
        workspace.asked.wait(30)
        workspace.open.set()
        answers: list[Any] = [call.result(30) for call in calls]
    assert workspace.tokens == 1
    assert workspace.seen == ["Bearer t1"] * CROWD
    assert {answer.choices[0].message.content for answer in answers} == {"Hi"}


def test_tasks(workspace: Workspace) -> None:
    async def crowd() -> None:
        async with AsyncClient() as client:
            calls = [asyncio.ensure_future(client.chat.completions.create(**workspace.arguments)) for _ in range(CROWD)]
            await asyncio.to_thread(workspace.asked.wait, 30)
            workspace.open.set()
            await asyncio.gather(*calls)

    asyncio.run(crowd())
    assert workspace.tokens == 1
    assert workspace.seen == ["Bearer t1"] * CROWD


def test_who_is_cancelled_leaves_it_to_the_next(workspace: Workspace) -> None:
    async def crowd() -> None:
        async with AsyncClient() as client:
            first = asyncio.ensure_future(client.chat.completions.create(**workspace.arguments))
            await asyncio.to_thread(workspace.asked.wait, 30)
            second = asyncio.ensure_future(client.chat.completions.create(**workspace.arguments))
            await asyncio.sleep(0)
            first.cancel()
            workspace.open.set()
            with pytest.raises(asyncio.CancelledError):
                await first
            await second

    asyncio.run(crowd())
    assert workspace.tokens == 2
    assert workspace.seen == ["Bearer t2"]


def test_a_blocking_call_inside_of_the_loop_that_fetches_does_not_wait_for_it(workspace: Workspace) -> None:
    """Bad manners, but common: it would wait for a task that cannot go on while it waits."""

    async def rude() -> None:
        client = AsyncClient()
        blocking = Client()
        blocking._engine.credentials = client._engine.credentials
        first = asyncio.ensure_future(client.chat.completions.create(**workspace.arguments))
        await asyncio.to_thread(workspace.asked.wait, 30)
        workspace.open.set()
        blocking.chat.completions.create(**workspace.arguments)
        await first
        blocking.close()
        await client.close()

    asyncio.run(rude())
    assert workspace.tokens == 2
    assert sorted(workspace.seen) == ["Bearer t1", "Bearer t2"]
