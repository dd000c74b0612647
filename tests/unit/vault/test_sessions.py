"""Sessions over one store: rotations by the credential itself and by others, revocation, and what is forgotten."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.vault import sessions as module
from penstock.vault.audit import AuditLog
from penstock.vault.dial import Dialer
from penstock.vault.seal import Store
from penstock.vault.sessions import Sessions
from penstock.vault.values import Fetched, Headers, Refusal
from penstock.vault.wire import Event, SessionSpec

BINDING = "* https://api.example.com:443/* header:authorization"


class Service:
    """A token service that replaces the refresh token each time."""

    def __init__(self) -> None:
        self.presented: list[str] = []

    async def __call__(self, method: str, url: str, headers: Headers = (), body: bytes = b"") -> Fetched:
        fields = dict(pair.split("=", 1) for pair in body.decode().split("&"))
        self.presented.append(fields["refresh_token"])
        number = len(self.presented)
        answer = {"access_token": f"fake-access-token-{number}", "refresh_token": f"fake-refresh-token-{number}",
                  "token_type": "bearer", "expires_in": 0}  # fmt: skip
        return Fetched(200, (("content-type", "application/json"),), json.dumps(answer).encode())


class Vault:
    """What the process puts together, over a temporary store."""

    def __init__(self, folder: Path, fetch: Service) -> None:
        self.store = Store.open(folder)
        self.audit = AuditLog.open(folder / "audit", self.store.derived_key("audit"))
        self.sessions = Sessions(self.store, self.audit, Dialer(), fetch)
        self.events: list[Event] = []
        self.sessions.on_event = self.events.append

    def close(self) -> None:
        self.sessions.close_all()
        self.audit.close()
        self.store.close()


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Vault, Service], Awaitable[None]]], None]:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.005)

    def run(work: Callable[[Vault, Service], Awaitable[None]]) -> None:
        async def whole() -> None:
            service = Service()
            vault = Vault(tmp_path / "state", service)
            try:
                await work(vault, service)
            finally:
                vault.close()

        asyncio.run(whole())

    return run


def put(vault: Vault, name: str, value: bytes, **more: Any) -> None:
    usual: dict[str, Any] = {
        "source": None,
        "kind": "static",
        "env": name,
        "bindings": [BINDING],
        "addresses": {},
        "upstream_ca": None,
    }
    vault.store.put(name, value, **{**usual, "options": {}, "owner": "", **more})


async def seen(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # another task looks at the store
            await asyncio.sleep(0.005)


def test_a_refresh_token_that_its_service_replaces_is_no_news_for_anybody(run: Any) -> None:
    async def work(vault: Vault, service: Service) -> None:
        stored = {"client_id": "c", "refresh_token": "fake-refresh-token-0", "token_url": "https://id.example.com/t"}
        put(vault, "LOGIN", json.dumps(stored).encode(), kind="oauth-refresh")
        for id in ("one", "two"):
            await vault.sessions.open(SessionSpec(id=id, secrets=("LOGIN",)), [])
        one, two = (vault.sessions.get(id) for id in ("one", "two"))
        credential = one.held["LOGIN"].credential
        assert credential is two.held["LOGIN"].credential, "one login, however many sessions"
        stub = one.held["LOGIN"].stub
        for _ in range(3):
            await credential.value()
        version = vault.store.get("LOGIN", owner="").version
        await seen(lambda: two.held["LOGIN"].record.version == version)
        assert service.presented == [f"fake-refresh-token-{each}" for each in range(3)]
        assert one.held["LOGIN"].credential is credential and one.held["LOGIN"].stub == stub
        await credential.value()
        assert service.presented[-1] == "fake-refresh-token-3", "the newest, never one a second time"
        assert not vault.events

    run(work)


def test_a_new_value_takes_effect_in_every_session_and_the_old_one_stays_hidden(run: Any) -> None:
    async def work(vault: Vault, service: Service) -> None:
        put(vault, "KEY", b"fake-old-key-0001")
        await vault.sessions.open(SessionSpec(id="one", secrets=("KEY",)), [])
        session = vault.sessions.get("one")
        stub = session.held["KEY"].stub
        vault.store.rotate("KEY", b"fake-new-key-0002", owner="")
        await seen(lambda: session.held["KEY"].record.version == 2)
        assert (await session.held["KEY"].credential.value()).value == b"fake-new-key-0002"
        assert session.held["KEY"].stub == stub
        assert "key-000" not in session.scrubber.text("fake-old-key-0001 fake-new-key-0002")

    run(work)


def test_other_places_for_a_secret_cut_what_the_old_ones_let_in(run: Any) -> None:
    async def work(vault: Vault, service: Service) -> None:
        put(vault, "KEY", b"fake-old-key-0001")
        await vault.sessions.open(SessionSpec(id="one", secrets=("KEY",)), [])
        session, cuts = vault.sessions.get("one"), list[str]()

        class Connection:
            def cut(self) -> None:
                cuts.append("cut")

        connection = Connection()
        with session.connected(connection):
            session.used(connection, "KEY")
            vault.store.rotate("KEY", b"fake-new-key-0002", owner="")
            await seen(lambda: session.held["KEY"].record.version == 2)
            assert not cuts
            put(vault, "KEY", b"fake-new-key-0003", bindings=["GET https://api.example.com:443/v1 header:x-key"])
            await seen(lambda: cuts)

    run(work)


def test_a_revoked_secret_is_refused_from_then_on(run: Any) -> None:
    async def work(vault: Vault, service: Service) -> None:
        put(vault, "KEY", b"fake-old-key-0001")
        await vault.sessions.open(SessionSpec(id="one", secrets=("KEY",)), [])
        vault.store.revoke("KEY", owner="")
        session = vault.sessions.get("one")
        await seen(lambda: session.held["KEY"].revoked)
        with pytest.raises(Refusal, match="revoked"):
            session.held["KEY"].check_usable()
        with pytest.raises(Refusal, match="revoked"):
            await vault.sessions.open(SessionSpec(id="two", secrets=("KEY",)), [])
        assert [event.kind for event in vault.events] == ["revoked"]
        assert vault.sessions._credentials, "an open session still scrubs it"
        vault.sessions.close("one")
        put(vault, "OTHER", b"fake-other-key-0009")
        await seen(lambda: not vault.sessions._credentials)

    run(work)
