"""A request on its way out: what is checked before a credential is obtained, and what happened while it was."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from penstock.vault.bodies import Body, Message, Whole
from penstock.vault.credentials.static import Static
from penstock.vault.held import Held, hold
from penstock.vault.http_parts import Data, End
from penstock.vault.outgoing import Outgoing
from penstock.vault.records import SecretRecord
from penstock.vault.session import Session
from penstock.vault.values import Destination, Headers, Refusal, RequestHead, Secret
from penstock.vault.wire import SessionSpec

TO = Destination("https", "api.example.com", 443)
VALUE = b"fake-secret-value-0001"


class Counting(Static):
    """A credential that tells what it was asked, and runs something while it is obtained."""

    def __init__(self) -> None:
        super().__init__(Secret("TOKEN", VALUE))
        self.obtained = 0
        self.rejections = 0
        self.meanwhile: Callable[[], object] = lambda: None

    async def value(self) -> Secret:
        self.obtained += 1
        await asyncio.sleep(0)
        self.meanwhile()
        return await super().value()

    async def rejected(self, seen: Secret) -> bool:
        self.rejections += 1
        return True


class Connection:
    """What would be cut."""

    def cut(self) -> None:
        """Nothing is there."""


class World:
    """A session with one secret, its rows, and a request with the stub unless told otherwise."""

    def __init__(self) -> None:
        self.credential = Counting()
        binding = "* https://api.example.com:443/* header:authorization"
        record = SecretRecord(name="TOKEN", version=1, env="TOKEN", bindings=(binding,))
        self.held: Held = hold(record, self.credential, secrets.token_bytes)
        self.rows: list[Mapping[str, Any]] = []
        self.session = Session(
            SessionSpec(id="one"), [self.held], random=secrets.token_bytes, tell=lambda event: None, audit=self.audit
        )
        self.full = False

    def audit(self, row: Mapping[str, Any]) -> None:
        if self.full:
            raise Refusal("audit_full", "The log cannot be written.", status=503)
        self.rows.append(row)

    async def outgoing(self, token: str | None = None, *more: tuple[str, str]) -> Outgoing:
        value = token if token is not None else self.held.stub.decode()
        headers: Headers = (("host", "api.example.com"), ("authorization", f"Bearer {value}"), *more)
        head = RequestHead("POST", "/", headers if value else headers[:1])
        permit = await self.session.decide(TO, head)
        return Outgoing(self.session, Connection(), TO, head, permit)


class Events:
    """A body of three chunks."""

    def __init__(self) -> None:
        self._events: list[object] = [Data(b"one"), Data(b"two"), End()]

    async def next(self) -> object:
        return self._events.pop(0)


@pytest.mark.parametrize(("token", "code"), [("", "stub_missing"), ("fake-own-key-of-the-agent", "stub_mismatch")])
def test_nobody_obtains_a_credential_without_its_stub(token: str, code: str) -> None:
    async def run(world: World) -> None:
        with pytest.raises(Refusal) as refused:
            await (await world.outgoing(token)).prepare(Whole(b""))
        assert refused.value.code == code and world.credential.obtained == 0

    asyncio.run(run(World()))


@pytest.mark.parametrize("way", ["revoked", "frozen"])
def test_what_ended_while_a_credential_was_obtained_is_not_sent(way: str) -> None:
    async def run(world: World) -> None:
        outgoing = await world.outgoing()
        end = {"revoked": lambda: world.session.revoke("TOKEN"), "frozen": lambda: world.session.freeze("a test")}
        world.credential.meanwhile = end[way]
        with pytest.raises(Refusal) as refused:
            await outgoing.prepare(Whole(b""))
        assert refused.value.code == way
        assert all(row["decision"] != "swap" for row in world.rows)

    asyncio.run(run(World()))


def test_what_cannot_be_written_down_is_not_sent() -> None:
    async def run(world: World) -> None:
        outgoing = await world.outgoing()
        world.full = True
        with pytest.raises(Refusal) as refused:
            await outgoing.prepare(Whole(b""))
        assert refused.value.code == "audit_full"

    asyncio.run(run(World()))


@pytest.mark.parametrize("streamed", [False, True])
def test_a_401_is_told_to_the_credential_and_only_a_kept_body_is_sent_again(streamed: bool) -> None:
    async def run(world: World) -> None:
        body: Body = Message(Events(), None) if streamed else Whole(b"onetwo")
        outgoing = await world.outgoing()
        request = await outgoing.prepare(await outgoing.ready(body))
        assert not await outgoing.was_rejected(request, 403) and world.credential.rejections == 0
        assert await outgoing.was_rejected(request, 401) is not streamed
        assert world.credential.rejections == 1

    asyncio.run(run(World()))


def test_a_row_names_secret_version_and_rule_and_no_value() -> None:
    async def run(world: World) -> None:
        outgoing = await world.outgoing(None, ("x-api-key", "theirs"))
        prepared = await outgoing.prepare(Whole(b""))
        assert prepared.head.values("authorization") == [f"Bearer {VALUE.decode()}"]
        [row] = world.rows
        assert (row["decision"], row["secret"], row["version"], row["stripped"]) == ("swap", "TOKEN", 1, "x-api-key")
        assert VALUE.decode() not in repr(world.rows) and VALUE.decode() not in repr(prepared.value)

    asyncio.run(run(World()))
