"""The log over real sockets: clients that are cut at random, a server that is killed, writers here and there.

What holds in all of it: a client that says the last number that it has gets every event after it, once, in order.
"""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from penstock.agents.events import Move, Text
from penstock.agents.log import Source
from penstock.agents.machine import Cause, Reason
from penstock.agents.service import utc_now
from penstock.agents.store.base import AgentStore
from penstock.agents.store.sqlite import open_sqlite
from penstock.agents.tokens import digest_of
from penstock.agents.types import Session, Token
from tests.support.agents import ALL_SCOPES, NOON, TO_RUNNING, new_session
from tests.support.agents_server import AgentsServer

SECRET = "pst_" + "fake" * 8
OTHER = "pst_" + "bobs" * 8
EVENTS = 300


class Scene:
    """A server, its store as another process sees it, and a session."""

    def __init__(self, server: AgentsServer, store: AgentStore) -> None:
        self.server = server
        self.store = store
        self.session = self.new_session()

    def new_session(self) -> Session:
        session = self.store.add_session(new_session())
        return self.store.append(session.id, TO_RUNNING, at=NOON).session

    def write(self, count: int = EVENTS, pause: float = 0.003, end: bool = True) -> None:
        """Write so many events, from this process, and then the end."""
        for number in range(1, count + 1):
            self.store.append(self.session.id, [Text(f"text {number}")], at=utc_now(), source=Source("test", number))
            time.sleep(pause)
        if end:
            self.store.append(self.session.id, [Move(Cause.TERMINATE, Reason.COMPLETED)], at=utc_now())

    def written(self) -> list[Any]:
        return [json.loads(each.json) for each in self.store.events(self.session.id, limit=10**6)]

    @property
    def path(self) -> str:
        return f"/v1/sessions/{self.session.id}/events"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    path = tmp_path / "agents.db"
    store = open_sqlite(path)
    for owner, secret in (("alice", SECRET), ("bob", OTHER)):
        scopes = tuple(sorted(ALL_SCOPES))
        token = Token(id=f"tok_{owner}", owner=owner, name="t", scopes=scopes, created_at=NOON)
        store.add_token(token, digest_of(secret))
    with AgentsServer(path) as server:
        yield Scene(server, store)
    store.close()


class Cut(Exception):
    """The connection was cut, by whomever."""


def blocks(scene: Scene, after: int, may_read: int, way: str) -> Iterator[tuple[int, Any]]:
    """Whole events of one connection, which is cut after so many bytes. StopIteration: the stream has ended."""
    head = {
        "header": f"GET {scene.path}/stream HTTP/1.1\r\nLast-Event-ID: {after}\r\n",
        "query": f"GET {scene.path}/stream?after={after} HTTP/1.1\r\n",
        "accept": f"GET {scene.path}?after={after} HTTP/1.1\r\nAccept: text/event-stream\r\n",
    }[way]
    rest = f"Host: 127.0.0.1:{scene.server.port}\r\nAuthorization: Bearer {SECRET}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", scene.server.port), timeout=20) as connection:
        connection.sendall((head + rest).encode())
        reply = connection.makefile("rb")
        status = int(reply.readline().split()[1])
        while reply.readline() not in (b"\r\n", b""):
            pass
        if status == 204:
            return
        assert status == 200
        yield from _events(_dechunked(reply, may_read))


def _dechunked(reply: Any, may_read: int) -> Iterator[bytes]:
    while True:
        line = reply.readline()
        if not line.endswith(b"\r\n"):
            raise Cut
        size = int(line, 16)
        if not size:
            return
        data = reply.read(size)
        yield data[:may_read]
        may_read -= len(data)
        if len(data) < size or may_read <= 0:
            raise Cut
        reply.readline()


def _events(chunks: Iterator[bytes]) -> Iterator[tuple[int, Any]]:
    buffer = b""
    for chunk in chunks:
        buffer += chunk
        *whole, buffer = buffer.split(b"\n\n")
        for block in whole:
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
            if b"data" in fields:
                yield int(fields[b"id"]), json.loads(fields[b"data"])


def followed(scene: Scene, chance: random.Random, ways: tuple[str, ...], cut_after: int) -> tuple[list[Any], int]:
    """All that a client gets which comes back after every cut, until the stream ends; and how often it was cut."""
    found: list[Any] = []
    cuts = 0
    while True:
        try:
            after = found[-1]["number"] if found else 0
            for number, event in blocks(scene, after, chance.randint(1, cut_after), chance.choice(ways)):
                assert number == event["number"]
                found.append(event)
            if found and found[-1]["data"].get("state") == "terminated":
                return found, cuts
        except (Cut, OSError, IndexError):
            cuts += 1


def beside(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("ways", [("header",), ("query",), ("accept",), ("header", "query", "accept")], ids="-".join)
def test_a_client_that_is_cut_at_random_gets_everything_once(scene: Scene, ways: tuple[str, ...]) -> None:
    writer = beside(scene.write)
    found, cuts = followed(scene, random.Random(str(ways)), ways, 6000)
    writer.join()
    assert found == scene.written()
    assert [event["number"] for event in found] == list(range(1, EVENTS + 6))
    assert cuts > 3


def test_a_server_that_is_killed_loses_nothing(scene: Scene) -> None:
    """kill -9 and a new server, again and again, while somebody writes and several follow."""
    writer = beside(lambda: scene.write(pause=0.01))
    results: list[list[Any]] = []
    readers = [
        beside(lambda seed=seed: results.append(followed(scene, random.Random(seed), ("header", "query"), 50_000)[0]))  # type: ignore[misc]
        for seed in range(3)
    ]
    kills = 0
    while writer.is_alive():
        time.sleep(0.4)
        scene.server.kill()
        scene.server.start()
        kills += 1
    for each in [writer, *readers]:
        each.join()
    assert kills >= 3
    assert results == [scene.written()] * 3


def test_what_is_sent_over_http_is_seen_at_once(scene: Scene) -> None:
    """Writers of the server's own process wake its readers; and a message that was answered outlives a kill."""
    headers = {"authorization": f"Bearer {SECRET}"}
    messages = scene.path.replace("/events", "/messages")
    sent: list[int] = []

    def send() -> None:
        for number in range(40):
            key = {"idempotency-key": f"m{number}"}
            while True:  # as a client does that does not know whether it was heard
                try:
                    answer = httpx.post(scene.url + messages, json={"text": str(number)}, headers={**headers, **key})
                    sent.append(answer.json()["number"])
                    break
                except (httpx.TransportError, KeyError):
                    time.sleep(0.05)
            if number in (10, 25):
                scene.server.kill()
                scene.server.start()
        scene.store.append(scene.session.id, [Move(Cause.TERMINATE, Reason.USER)], at=utc_now())

    sender = beside(send)
    found, _ = followed(scene, random.Random(3), ("header",), 100_000)
    sender.join()
    said = [event for event in found if event["data"]["kind"] == "user_message"]
    assert [event["data"]["text"] for event in said] == [str(number) for number in range(40)]
    assert [event["number"] for event in said] == sent
    assert found == scene.written()


def test_an_end_is_the_end(scene: Scene) -> None:
    """Whoever has everything of a session that is over is told so, and a browser stops asking then."""
    scene.write(3, 0)
    last = len(scene.written())
    headers = {"authorization": f"Bearer {SECRET}", "accept": "text/event-stream"}
    with httpx.stream("GET", f"{scene.url}{scene.path}/stream?after={last - 1}", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.read().decode().count("\nid: ") + response.text.startswith("id: ") == 1
    assert httpx.get(f"{scene.url}{scene.path}/stream?after={last}", headers=headers).status_code == 204
    assert httpx.get(f"{scene.url}{scene.path}?after={last}", headers=headers).status_code == 204
    ahead = httpx.get(f"{scene.url}{scene.path}/stream", headers={**headers, "last-event-id": str(last + 1)})
    assert (ahead.status_code, ahead.json()["error"]["code"]) == (409, "ahead")
    for wrong in ("x", "-1", "1.5", "9" * 30):
        given = {**headers, "last-event-id": wrong}
        assert httpx.get(f"{scene.url}{scene.path}/stream", headers=given).status_code == 400


def test_a_token_that_is_revoked_ends_its_streams(scene: Scene) -> None:
    """Within seconds, whether anything is written or not."""
    with httpx.stream(
        "GET", f"{scene.url}{scene.path}/stream", headers={"authorization": f"Bearer {SECRET}"}, timeout=30
    ) as response:
        lines = response.iter_lines()
        assert next(lines) == "retry: 1000"
        scene.store.revoke_token("tok_alice", utc_now())
        assert [line for line in lines if "revoked" in line] == []


def test_many_follow_one_log(scene: Scene) -> None:
    results: list[list[Any]] = []
    readers = [
        beside(lambda seed=seed: results.append(followed(scene, random.Random(seed), ("header",), 20_000)[0]))  # type: ignore[misc]
        for seed in range(20)
    ]
    scene.write(100)
    for each in readers:
        each.join()
    assert results == [scene.written()] * 20


# -- WebSocket --------------------------------------------------------------------------------------------------------


def socket_to(scene: Scene, after: int, secret: str | None = SECRET, **options: Any) -> Any:
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    path = f"ws://127.0.0.1:{scene.server.port}{scene.path}/ws?after={after}{options.pop('more', '')}"
    return connect(path, additional_headers={**headers, **options.pop("headers", {})}, close_timeout=0.1)


def test_a_websocket_that_is_cut_gets_everything_once(scene: Scene) -> None:
    writer = beside(scene.write)
    chance, closed = random.Random(5), None
    found: list[Any] = []
    while closed is None:
        with socket_to(scene, found[-1]["number"] if found else 0) as websocket:
            try:
                for _ in range(chance.randint(1, 60)):
                    found.append(json.loads(websocket.recv(timeout=20)))
            except ConnectionClosed as end:
                closed = end.rcvd.code if end.rcvd else 0
    writer.join()
    assert closed == 1000
    assert found == scene.written()


def test_a_websocket_and_a_server_that_is_killed(scene: Scene) -> None:
    writer = beside(lambda: scene.write(150, 0.01))
    found: list[Any] = []
    kills = 0
    while not found or found[-1]["data"].get("state") != "terminated":
        with socket_to(scene, found[-1]["number"] if found else 0) as websocket:
            try:
                while True:
                    found.append(json.loads(websocket.recv(timeout=20)))
                    if len(found) == 50 * (kills + 1) and kills < 2:
                        scene.server.kill()
                        scene.server.start()
                        kills += 1
            except ConnectionClosed:
                pass
    writer.join()
    assert kills == 2 and found == scene.written()


@pytest.mark.parametrize(
    ("secret", "options", "status"),
    [
        (None, {}, 401),
        ("pst_wrong", {}, 401),
        (OTHER, {}, 404),
        (SECRET, {"headers": {"Origin": "https://evil.example"}}, 403),
        (SECRET, {"more": "&token=x"}, 400),
    ],
)
def test_a_websocket_of_a_stranger(scene: Scene, secret: str | None, options: dict[str, Any], status: int) -> None:
    with pytest.raises(InvalidStatus) as refused, socket_to(scene, 0, secret, **options):
        pass
    assert refused.value.response.status_code == status
    assert b'"code"' in refused.value.response.body


def test_a_websocket_with_a_ticket(scene: Scene) -> None:
    scene.write(2, 0)
    made = httpx.post(
        f"{scene.url}/v1/tickets", json={"path": f"{scene.path}/ws"}, headers={"authorization": f"Bearer {SECRET}"}
    ).json()
    with socket_to(scene, 0, None, more=f"&ticket={made['ticket']}") as websocket:
        assert json.loads(websocket.recv(timeout=10))["number"] == 1
    with pytest.raises(InvalidStatus), socket_to(scene, 0, None, more=f"&ticket={made['ticket']}"):
        pass
