"""Two vault processes over one store: a login whose refresh token is replaced is refreshed by one of them at a time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from penstock.vault import wire
from penstock.vault.api import VaultClient, open_secrets
from tests.support.recording_upstream import Asked, RecordingUpstream, answer, recording_upstream
from tests.support.vaults import Answer, RunningVault, Session, until

IDENTITY = "id.invalid"
API = "api.example.com"


class Rotating:
    """A token service that takes each refresh token once; after a second use of one it takes none (RFC 9700)."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.presented: list[str] = []
        self.issued = "fake-refresh-token-0"
        self.is_over = False
        self.hold = threading.Event()
        self.hold.set()

    def __call__(self, asked: Asked) -> list[bytes]:
        shown = dict(parse_qsl(asked.body.decode()))["refresh_token"]
        with self.lock:
            self.is_over |= shown in self.presented
            self.presented.append(shown)
            refused = self.is_over or shown != self.issued
            self.issued = f"fake-refresh-token-{len(self.presented)}"
            number = len(self.presented)
        self.hold.wait(20)
        if refused:
            return [answer(b'{"error": "invalid_grant"}', "400 Bad Request")]
        granted = {"access_token": f"fake-access-token-{number}", "refresh_token": f"fake-refresh-token-{number}"}
        return [answer(json.dumps({**granted, "token_type": "bearer", "expires_in": 3600}).encode())]


class Api:
    """An API that takes the access tokens that are in `good`, and says back which one it saw."""

    def __init__(self) -> None:
        self.good: set[str] = set()

    def __call__(self, asked: Asked) -> list[bytes]:
        token = asked.header("authorization")[0].partition(" ")[2]
        number = token.rpartition("-")[2].encode()
        return [answer(number, "200 OK" if token in self.good else "401 Unauthorized")]


@contextlib.contextmanager
def company_proxy(port: int) -> Iterator[int]:
    """A proxy that connects whatever is asked for to `port`: so a name that nobody resolves has a server."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=16)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1)
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=carry, args=(server, client), daemon=True)
            back.start()
            carry(client, server)
            back.join(20)

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


class World:
    """Two vaults, the token service, the API."""

    def __init__(
        self, folder: Path, tokens: tuple[RecordingUpstream, Rotating], api: tuple[RecordingUpstream, Api], proxy: int
    ) -> None:
        self.folder = folder
        self.tokens = tokens[1]
        self.identity = tokens[0]
        self.upstream, self.api = api
        self.proxy = proxy
        self.authority = folder / "authority.pem"
        self.authority.write_text(tokens[0].ca_pem)
        self.vaults = [RunningVault(folder / "state", self.start) for _ in range(2)]
        self.set()
        self.sessions = [self.open(vault) for vault in self.vaults]

    def set(self) -> None:
        """Store the login."""
        stored = {"client_id": "c", "refresh_token": self.tokens.issued, "token_url": f"https://{IDENTITY}/token"}
        binding = f"GET https://{API}/* header:authorization"
        self.vaults[0].set("LOGIN", json.dumps(stored).encode(), binding, kind="oauth-refresh")

    async def start(self, folder: Path, *, on_event: Any) -> VaultClient:
        """A vault behind the company's proxy, on a machine that trusts the token service's authority."""
        ours, theirs = wire.pair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "penstock.vault", "--state-dir", folder, "--control", str(theirs.fileno())),
                *("--upstream-proxy", f"http://127.0.0.1:{self.proxy}"),
                pass_fds=[theirs.fileno()],
                env={**os.environ, "SSL_CERT_FILE": str(self.authority)},
            )
        return VaultClient(ours, process, on_event)

    def open(self, vault: RunningVault) -> Session:
        there = f"127.0.0.1:{self.upstream.port}"
        return vault.open(secrets=("LOGIN",), pins={API: there}, upstream_cas={API: self.upstream.ca_pem})

    def ask(self, number: int) -> Answer:
        """A request through one of the two."""
        session = self.sessions[number % 2]
        return session.ask(API, "/", f"Authorization: Bearer {session.env['LOGIN']}")

    def works(self, number: int) -> bool:
        """Whether the API takes what one of the two sends."""
        return self.ask(number).status == 200

    def ask_all(self, count: int) -> list[bytes]:
        """Requests at the same time through both; what the API saw."""
        with ThreadPoolExecutor(count) as pool:
            answers = list(pool.map(self.ask, range(count)))
        assert {each.status for each in answers} == {200}, answers
        return [each.body for each in answers]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        tokens, api = Rotating(), Api()
        for name in ("tokens", "api"):
            (tmp_path / name).mkdir()
        identity = stack.enter_context(recording_upstream(tmp_path / "tokens", IDENTITY, answering=tokens))
        upstream = stack.enter_context(recording_upstream(tmp_path / "api", API, answering=api))
        proxy = stack.enter_context(company_proxy(identity.port))
        with open_secrets(tmp_path / "state"):
            pass
        made = World(tmp_path, (identity, tokens), (upstream, api), proxy)
        yield made
        tokens.hold.set()
        for vault in made.vaults:
            vault.close()


def test_both_vaults_use_the_token_of_one_refresh(world: World) -> None:
    world.api.good = {"fake-access-token-1"}
    assert set(world.ask_all(8)) == {b"1"}
    assert world.tokens.presented == ["fake-refresh-token-0"]


def test_after_401s_in_both_vaults_one_refresh_token_is_shown_once(world: World) -> None:
    world.api.good = {f"fake-access-token-{number}" for number in (1, 2)}
    world.ask_all(4)
    world.api.good = {"fake-access-token-2"}
    assert set(world.ask_all(8)) == {b"2"}
    assert world.tokens.presented == ["fake-refresh-token-0", "fake-refresh-token-1"]


def test_a_vault_that_is_killed_in_its_turn_lets_the_other_go_on(world: World) -> None:
    """The one that dies has shown the token, so the service refuses the other one: in words, and at once."""
    world.tokens.hold.clear()
    world.api.good = {"fake-access-token-1"}
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(world.ask, 0)
        until(lambda: world.tokens.presented)
        second = pool.submit(world.ask, 1)
        pid = world.vaults[0].client.pid
        assert pid is not None
        os.kill(pid, 9)
        assert first.result(20).status == 0
        until(lambda: len(world.tokens.presented) == 2)
        world.tokens.hold.set()
        refused = second.result(20)
    assert (refused.status, refused.code) == (502, "login_needed")


def test_a_login_that_is_set_anew_is_used_by_both(world: World) -> None:
    world.api.good = {"fake-access-token-1"}
    world.ask_all(2)
    world.set()
    world.api.good = {"fake-access-token-2"}
    for number in range(
        2
    ):  # within a fifth of a second a vault has seen it; until then it says so, or passes the 401 on
        until(partial(world.works, number))
    assert set(world.ask_all(8)) == {b"2"}
    assert world.tokens.presented == ["fake-refresh-token-0", "fake-refresh-token-1"]
