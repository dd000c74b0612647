"""What commands say to the server of the agent platform: plain HTTP, with the token of this machine or of a variable.

The server is found by PENSTOCK_AGENTS_URL and PENSTOCK_AGENTS_TOKEN, else by the file that `penstock agents serve` has
written into its state directory.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from penstock.agents.events import SessionEvent, decode
from penstock.agents.server import whereabouts
from penstock.cli import CommandError
from penstock.cli.places import state_directory

TIMEOUT = httpx.Timeout(30.0, read=60.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What every such command takes."""
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="state of the server on this machine")


class Server:
    """A server, as its clients see it."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self.headers = {"authorization": f"Bearer {token}"}
        self.http = httpx.Client(base_url=self.url, headers=self.headers, timeout=TIMEOUT, trust_env=False)

    def call(self, method: str, path: str, **more: Any) -> Any:
        """The answer's JSON. Raises CommandError with what the server says."""
        try:
            answer = self.http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise self._gone(error) from None
        self.check(answer)
        return answer.json() if answer.content else None

    def check(self, answer: httpx.Response) -> None:
        """Raises CommandError where the server refuses."""
        if answer.status_code >= 400:
            raise CommandError(refusal(answer.status_code, answer.content))

    def download(self, path: str, target: Path) -> None:
        """Write what is there into a file. Raises CommandError with what the server says."""
        with self.http.stream("GET", path) as answer:
            if answer.status_code >= 400:
                answer.read()
                self.check(answer)
            with target.open("wb") as file:
                for chunk in answer.iter_bytes():
                    file.write(chunk)

    def _gone(self, error: Exception) -> CommandError:
        return CommandError(f"the server at {self.url} does not answer ({type(error).__name__}): see that it runs")

    def pages(self, path: str, **asked: Any) -> Iterator[dict[str, Any]]:
        """All rows of a list."""
        cursor: str | None = None
        while True:
            wanted = {key: value for key, value in {**asked, "cursor": cursor}.items() if value is not None}
            page = self.call("GET", path, params=wanted)
            yield from page["data"]
            cursor = page.get("next")
            if not cursor:
                return

    def follow(self, session: str, after: int = 0) -> Iterator[tuple[SessionEvent, bytes]]:
        """Events of a session as they come, over restarts of the server; ends when the session is over."""
        failures = 0
        while True:
            try:
                for event, data in self._stream(session, after):
                    after, failures = event.number, 0
                    yield event, data
                return
            except httpx.HTTPError as error:
                failures += 1
                if failures > 20:
                    raise self._gone(error) from None
                import time

                time.sleep(min(0.25 * failures, 2.0))

    def _stream(self, session: str, after: int) -> Iterator[tuple[SessionEvent, bytes]]:
        path = f"/v1/sessions/{session}/events/stream"
        headers = {"last-event-id": str(after)}
        with self.http.stream("GET", path, headers=headers, timeout=httpx.Timeout(30.0, read=45.0)) as answer:
            if answer.status_code >= 400:
                answer.read()
                self.check(answer)
            if answer.status_code == 204:
                return
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    data = line.removeprefix("data: ").encode()
                    yield decode(data), data
        if self.call("GET", f"/v1/sessions/{session}")["state"] != "terminated":
            raise httpx.ReadError("the stream ended before the session did")


def refusal(status: int, body: bytes) -> str:
    """What a refusal says, and what to do."""
    try:
        error = json.loads(body)["error"]
        return f"{error['message']}; {error['fix']}" if error.get("fix") else str(error["message"])
    except (ValueError, KeyError, TypeError):
        return f"the server answers {status}"


@contextmanager
def server(arguments: argparse.Namespace) -> Iterator[Server]:
    """The server. Raises CommandError where none is known."""
    url, token = os.environ.get("PENSTOCK_AGENTS_URL", ""), os.environ.get("PENSTOCK_AGENTS_TOKEN", "")
    if not url:
        found = whereabouts(state_directory(arguments.state_dir) / "agents")
        if found is None:
            raise CommandError("no server runs on this machine: start one with `penstock agents serve`")
        url, token = found.url, token or found.token
    made = Server(url, token)
    try:
        yield made
    finally:
        made.http.close()


def found_by_name(server: Server, kind: str, name: str) -> dict[str, Any]:
    """An agent or environment by its id or name. Raises CommandError."""
    if name.startswith(("agt_", "env_")):
        found: dict[str, Any] = server.call("GET", f"/v1/{kind}s/{name}")
        return found
    rows = list(server.pages(f"/v1/{kind}s", name=name))
    if not rows:
        raise CommandError(f"there is no {kind} called {name!r}: penstock {kind}s list")
    if len(rows) > 1:
        raise CommandError(f"{len(rows)} {kind}s are called {name!r}: name one by its id ({rows[0]['id']})")
    return rows[0]
