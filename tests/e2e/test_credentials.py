"""Every way to a credential, over real sockets, sync and async: what a service gives arrives at the model host, once
for all calls, anew when it must be, and nothing of it is seen when something fails.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock import AsyncClient, Client
from penstock.exceptions import AuthenticationError, PenstockError
from penstock.testing.providers import Reply, SimulatedProviders
from tests.e2e.credential_ways import CLOUDS, WAYS, Way
from tests.support.token_services import CLOSE, ECHO, HANG, Fault, TokenServices

ASK = [{"role": "user", "content": "Hello"}]
CROWD = 8


class Scene:
    """One way, set up, in front of a model host that checks what arrives."""

    def __init__(self, way: Way, services: TokenServices, host: SimulatedProviders, folder: Path) -> None:
        self.way, self.services, self.host = way, services, host
        self.environment = way.set_up(services, folder)
        self.model, address = CLOUDS[way.cloud]
        self.arguments: dict[str, Any] = {"model": self.model, "messages": ASK, "num_retries": 0}
        self.arguments |= address(host, services) | way.arguments
        services.relay_to = host.url("openai")

    @property
    def given(self) -> int:
        """How many credentials the service was asked for. (A chain of two roles takes two.)"""
        asked = self.services.count(self.way.service)
        return asked // 2 if self.way.name == "role of a profile" else asked

    def arrived(self) -> list[str]:
        """What each request to the model host was authorised with: a bearer token, or an access key whose signature
        and session token the host has checked.
        """
        return [self._credential(request) for request in self.host.requests]

    def _credential(self, request: Any) -> str:
        assert request.refused is None
        authorization = request.headers["authorization"]
        if self.way.cloud != "aws":
            scheme, _, token = authorization.partition(" ")
            assert scheme == "Bearer"
            return str(token)
        assert "/us-west-2/bedrock/aws4_request" in authorization
        access = authorization.partition("Credential=")[2].partition("/")[0]
        assert request.headers["x-amz-security-token"] == self.services.sessions[access]
        assert "x-amz-security-token" in authorization.partition("SignedHeaders=")[2]
        return str(access)

    def latest(self) -> str:
        """The newest credential that was given."""
        return list(self.services.sessions)[-1] if self.way.cloud == "aws" else self.services.tokens[-1]


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    with TokenServices() as services, SimulatedProviders(aws_secrets=services.aws, strict=True) as host:
        yield Scene(request.param, services, host, tmp_path)


@contextmanager
def sync_client(scene: Scene) -> Iterator[Callable[..., None]]:
    with Client(environment=scene.environment) as client:
        yield lambda **more: client.chat.completions.create(**scene.arguments | more)


@contextmanager
def async_client(scene: Scene) -> Iterator[Callable[..., None]]:
    client: Any = AsyncClient(environment=scene.environment)
    with asyncio.Runner() as runner:
        yield lambda **more: runner.run(client.chat.completions.create(**scene.arguments | more))
        runner.run(client.close())


@pytest.fixture(params=[sync_client, async_client], ids=["sync", "async"])
def call(request: pytest.FixtureRequest, scene: Scene) -> Iterator[Callable[..., None]]:
    """Makes a call, and remembers credentials from one to the next."""
    with request.param(scene) as calling:
        yield calling


Call = Callable[..., None]


@pytest.mark.parametrize("how", ["completion", "acompletion"])
def test_what_was_given_arrives_and_is_asked_for_once(
    scene: Scene, how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in scene.environment.items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            answer: Any = (
                penstock.completion(**scene.arguments)
                if how == "completion"
                else asyncio.run(penstock.acompletion(**scene.arguments))
            )
            assert answer.choices[0].message.content
    assert scene.arrived() == [scene.latest()] * 2
    assert scene.given == 1
    assert_hidden(scene, caplog.text)


@pytest.mark.parametrize("lifetime", [30, -30])
def test_what_is_about_to_expire_or_has_is_asked_for_again(scene: Scene, call: Call, lifetime: int) -> None:
    scene.services.lifetime = lifetime
    call()
    scene.services.lifetime = 3600
    call()
    call()
    first, second, third = scene.arrived()
    assert first != second == third == scene.latest()
    assert scene.given == 2


@pytest.mark.parametrize("status", [401, 403])
def test_what_the_host_refuses_is_renewed_once(scene: Scene, call: Call, status: int) -> None:
    call()
    scene.host.script(Reply.error(status))
    call()
    assert scene.given == 2
    assert scene.arrived()[2] == scene.latest() != scene.arrived()[0]
    scene.host.script(Reply.error(status), Reply.error(status))
    with pytest.raises(PenstockError) as caught:
        call()
    assert scene.given == 3
    assert_hidden(scene, told(caught.value))


def test_threads_ask_for_one(scene: Scene) -> None:
    scene.services.delay.clear()
    session: Any = Client(environment=scene.environment)
    with session as client, ThreadPoolExecutor(CROWD) as pool:
        calls = [pool.submit(client.chat.completions.create, **scene.arguments) for _ in range(CROWD)]
        scene.services.delay.set()
        for call in calls:
            call.result(30)
    assert scene.given == 1
    assert scene.arrived() == [scene.latest()] * CROWD


def test_tasks_ask_for_one(scene: Scene) -> None:
    async def crowd() -> None:
        async with AsyncClient(environment=scene.environment) as client:
            await asyncio.gather(*(client.chat.completions.create(**scene.arguments) for _ in range(CROWD)))

    asyncio.run(crowd())
    assert scene.given == 1
    assert scene.arrived() == [scene.latest()] * CROWD


FAULTS: tuple[Fault, ...] = (
    403,
    (400, "no"),
    (200, "not what was asked for"),
    (200, "{}"),
    (200, "[]"),
    (200, "\xff"),
    CLOSE,
)


def test_a_service_that_gives_nothing_is_named(scene: Scene, call: Call, caplog: pytest.LogCaptureFixture) -> None:
    for fault in FAULTS:
        scene.services.faults[scene.way.service] = fault
        with caplog.at_level(logging.DEBUG), pytest.raises(PenstockError) as caught:
            call()
        assert scene.way.fix in str(caught.value), fault
        assert_hidden(scene, told(caught.value) + caplog.text)
    assert scene.host.requests == []


def test_a_service_that_quotes_what_it_refuses_gives_nothing_away(scene: Scene, call: Call) -> None:
    """In the field that it usually explains itself in, and in all spellings."""
    scene.services.faults[scene.way.service] = ECHO
    with pytest.raises(PenstockError) as caught:
        call()
    assert scene.way.service in ("process", "google metadata") or "you sent" in str(caught.value)
    assert_hidden(scene, told(caught.value))


def test_a_service_that_is_down_for_a_moment_is_asked_again(scene: Scene, call: Call) -> None:
    """503 is nobody's wrong key."""
    scene.services.faults[scene.way.service] = 503
    with pytest.raises(PenstockError) as caught:
        call()
    assert not isinstance(caught.value, AuthenticationError) or scene.way.service == "process"


def test_a_service_that_hangs_is_named_within_the_deadline(
    scene: Scene, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    scene.services.faults[scene.way.service] = HANG
    with caplog.at_level(logging.DEBUG), pytest.raises(PenstockError) as caught:
        call(timeout=0.5, num_retries=2)
    assert scene.way.fix in str(caught.value)
    assert scene.host.requests == []
    assert_hidden(scene, told(caught.value) + caplog.text)


def test_who_has_no_patience_does_not_fail_the_others(tmp_path: Path) -> None:
    """One call gives up while the service thinks; the one that waits with it has more time, and gets its credential."""
    way = next(way for way in WAYS if way.name == "client secret")
    with TokenServices() as services, SimulatedProviders() as host:
        scene = Scene(way, services, host, tmp_path)
        services.delay.clear()
        session: Any = Client(environment=scene.environment)
        with session as client, ThreadPoolExecutor(2) as pool:
            hasty = pool.submit(client.chat.completions.create, **scene.arguments, timeout=0.5)
            while not services.count("entra"):
                time.sleep(0.01)
            patient = pool.submit(client.chat.completions.create, **scene.arguments, timeout=30)
            with pytest.raises(PenstockError):
                hasty.result(30)
            services.delay.set()
            assert patient.result(30).choices


def told(error: BaseException) -> str:
    """All that an exception says to anybody: its text and form, its notes, its causes, its history."""
    parts = [repr(error), str(error), repr(vars(error)), repr(getattr(error, "__notes__", ()))]
    parts += traceback.format_exception(error)
    for other in (error.__cause__, error.__context__):
        parts += [told(other)] if other is not None else []
    return "\n".join(parts)


def assert_hidden(scene: Scene, text: str) -> None:
    shown = [secret for secret in scene.services.secrets if secret in text]
    assert not shown
