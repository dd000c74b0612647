"""A world for harnesses: simulated providers, a gateway, a vault and sandboxes, all real processes on this machine.

    program -> stub -> vault -> session's key -> gateway -> provider's key -> simulated provider

The session's key (`KEY`) and the providers' keys are canaries: no sandbox may ever hold one.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from penstock.agents import model_way, turns
from penstock.agents.environments.building import Builder
from penstock.agents.environments.packages import Packages, variables
from penstock.agents.events import Draft, Text, ToolCall, ToolResult, TurnEnd
from penstock.agents.harnesses.contract import Gateway, Harness, Question, Reading, Turn, Wire
from penstock.agents.sandboxes.driver import Identity, Listener, Sandbox, SandboxSpec
from penstock.agents.sandboxes.local import LocalDriver
from penstock.agents.single_run import egress_of, identity_of
from penstock.cli.registries import registries
from penstock.testing.providers import SimulatedProviders
from penstock.vault.api import SessionSpec, VaultClient, open_secrets
from tests.e2e.gateway import KEY, environment_for, serving
from tests.support.needs import need
from tests.support.sandboxes import sandbox_folder

T = TypeVar("T")
MODELS: dict[Wire, str] = {
    "anthropic_messages": "anthropic/claude-sonnet-4-5",
    "openai_chat": "openai/gpt-4o",
    "openai_responses": "openai/gpt-5",
    "gemini": "gemini/gemini-2.5-flash",
}
"""What each surface's model is: the provider's that has the same dialect, so that a test sees what the program sent."""


def model_of(wire: Wire | None) -> str:
    """The name at the gateway of a model for a program with this dialect."""
    return (wire or "openai_chat").replace("_", "-")


class Heard(msgspec.Struct):
    """What a turn said: events as the log would have them, and the program's own lines."""

    events: list[Draft] = msgspec.field(default_factory=list)
    lines: list[bytes] = msgspec.field(default_factory=list)
    questions: list[Question] = msgspec.field(default_factory=list)

    def says(self, text: str) -> bool:
        """Whether the agent said it; programs for people break lines where they like."""
        return "".join(text.split()) in "".join(self.text.split())

    def of(self, kind: type[T]) -> list[T]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def text(self) -> str:
        """All that the agent said."""
        return "".join(event.text for event in self.of(Text))

    @property
    def end(self) -> TurnEnd:
        """How it ended: the last event, and the only one of its kind."""
        (end,) = self.of(TurnEnd)
        assert self.events[-1] is end
        return end

    @property
    def tools(self) -> list[tuple[ToolCall, ToolResult | None]]:
        """Each tool call with its result."""
        results = {result.call: result for result in self.of(ToolResult)}
        return [(call, results.get(call.call)) for call in self.of(ToolCall)]


class _Noting:
    """A reading whose lines are noted."""

    def __init__(self, reading: Reading, heard: Heard) -> None:
        self._reading = reading
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reading, name)

    def feed(self, line: bytes) -> Sequence[Draft]:
        """Note it, and read it."""
        self._heard.lines.append(line)
        return self._reading.feed(line)


class World:
    """Everything but the sandboxes."""

    def __init__(self, provider: SimulatedProviders, gateway_url: str, vault: VaultClient, driver: LocalDriver) -> None:
        self.provider = provider
        self.gateway_url = gateway_url
        self.way = model_way.way_to(gateway_url)
        self.hosts: tuple[str, ...] = ()
        self.driver = driver
        self._vault = vault
        self._builder = Builder(driver, vault, registries())

    @asynccontextmanager
    async def agent(self, harness: Harness) -> AsyncIterator[Agent]:
        """A sandbox in which the harness's program is installed."""
        packages: Packages = harness.packages
        mounts = (await self._builder.ensure(packages),) if packages else ()
        id_, stubs = f"conformance-{harness.name}-{secrets.token_hex(4)}", dict[str, str]()

        async def attach(listeners: Sequence[Listener]) -> Identity:
            spec = SessionSpec(id=id_, secrets=("gateway",), pins=dict(self.way.pins))
            opened = await self._vault.open(spec, [(each.kind, each.socket) for each in listeners])
            stubs.update(opened.env)
            return identity_of(opened)

        egress = egress_of(self.hosts)
        spec = SandboxSpec(id=id_, workspace=id_, mounts=mounts, env=variables() if packages else {}, egress=egress)
        sandbox = await self.driver.create(spec, attach)
        try:
            yield Agent(self, harness, sandbox, Gateway(self.way.url, stubs[model_way.VARIABLE]))
        finally:
            await sandbox.destroy(workspace=True)
            await self._vault.close(id_)


class Agent:
    """A harness with its sandbox."""

    def __init__(self, world: World, harness: Harness, sandbox: Sandbox, gateway: Gateway) -> None:
        self.world = world
        self.provider = world.provider
        self.harness = harness
        self.sandbox = sandbox
        self.gateway = gateway
        self.everything: list[bytes] = []

    async def turn(
        self,
        prompt: str,
        *,
        until: Callable[[Heard], bool] = lambda heard: False,
        allowed: bool = False,
        **fields: Any,
    ) -> Heard:
        """One turn, as the runner has it; interrupted as soon as `until` holds. Each question has the same answer."""
        turn = Turn(prompt=prompt, **{"model": model_of(self.harness.wire), **fields})
        launch, heard = self.harness.launch(turn, self.gateway), Heard()
        reading: Any = _Noting(self.harness.reading(turn), heard)

        async def append(drafts: Sequence[Draft], source: object = None) -> Any:
            heard.events += drafts

        async def stop() -> None:
            while not until(heard):  # noqa: ASYNC110  # what is waited for is in another thread or process
                await asyncio.sleep(0.01)

        async def judge(question: Question) -> tuple[bool, str]:
            heard.questions.append(question)
            return allowed, "" if allowed else "A person said no."

        diary = turns.Diary(append, "test")
        finished = await turns.run(self.sandbox, launch, reading, diary, judge=judge, stop=stop)
        heard.events += [*finished.drafts, finished.end]
        self.everything += [*heard.lines, repr(heard.events).encode(), repr(launch).encode()]
        return heard

    async def shell(self, script: str) -> str:
        """What a script in the sandbox prints."""
        process = await self.sandbox.exec(["/bin/sh", "-c", script])
        output = b""
        while data := await process.read():
            output += data
        await process.wait()
        return output.decode("utf-8", "replace")

    async def processes(self) -> int:
        """How many programs are alive inside."""
        return (await self.sandbox.stats()).processes

    def sent(self) -> list[str]:
        """The bodies of the requests that the provider took, and did not refuse by its own rules."""
        taken = [each for each in self.provider.requests if each.operation and each.refused is None]
        return [each.body.decode() for each in taken]


@asynccontextmanager
async def world(state: Path) -> AsyncIterator[World]:
    """All of it, on `state`, an empty folder that other users can enter."""
    config = msgspec.json.encode({"models": [{"name": model_of(wire), "model": model} for wire, model in MODELS.items()]
                                  + [{"name": "demo", "model": "demo"}]})  # fmt: skip
    (state / "penstock.yaml").write_bytes(config)
    (state / "vault").mkdir(mode=0o700)
    async with AsyncExitStack() as stack:
        provider = stack.enter_context(SimulatedProviders(any_signature=True))
        options = ("--config", str(state / "penstock.yaml"), "--workers", "1", "--state-dir", str(state / "gateway"))
        gateway = stack.enter_context(serving(environment_for(provider, PENSTOCK_MASTER_KEY=KEY), *options))
        with open_secrets(state / "vault") as secrets:
            bindings = model_way.way_to(gateway.url).bindings
            secrets.set("gateway", KEY.encode(), bindings=bindings, env=model_way.VARIABLE)
            hosts = secrets.hosts(["gateway"], [])
        vault = await VaultClient.start(state / "vault")
        stack.push_async_callback(vault.stop)
        driver = LocalDriver(state / "sandboxes")
        stack.push_async_callback(driver.close)
        made = World(provider, gateway.url, vault, driver)
        made.hosts = hosts
        yield made


@contextmanager
def running_world() -> Iterator[tuple[World, Callable[[Coroutine[Any, Any, Any]], Any], Path]]:
    """A world with the loop that it lives in, and its folder."""
    with sandbox_folder() as state, asyncio.Runner() as runner:
        state.mkdir(mode=0o711)
        manager = world(state)
        made = runner.run(manager.__aenter__())
        try:
            yield made, runner.run, state
        finally:
            runner.run(manager.__aexit__(None, None, None))


def wanted() -> list[str]:
    """The harnesses to hold to the contract: PENSTOCK_HARNESSES names more, in CI those of issue and agreement."""
    from penstock.agents.harnesses.registry import HARNESSES
    from tests.support.needs import in_ci

    given = os.environ.get("PENSTOCK_HARNESSES", "claude-code,codex" if in_ci() else "")
    more = list(HARNESSES) if given == "all" else [name for name in given.split(",") if name]
    if any(HARNESSES[name].packages.npm for name in more):
        need(command="npm", hint="apt-get install npm")
    return list(dict.fromkeys(["loop", "command", *more]))
