"""The network team of examples/network-team, in real sandboxes behind the real vault, against simulated devices.

Programs take the place of models (harness `command`): what a planner with a model would type into its shell is what
examples/network-team/planner.py runs. The devices get their passwords; nobody in the team ever sees one.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
import uvicorn

from penstock.agents.api.application import create_app
from penstock.agents.bring_up import Surroundings
from penstock.agents.errors import Conflict
from penstock.agents.events import SessionEvent, TurnEnd, WorkerChanged
from penstock.agents.harnesses.command import Command
from penstock.agents.machine import State
from penstock.agents.owners import LOCAL
from penstock.agents.plans import Plan, PlanChanged
from penstock.agents.platform import Places, Platform, opened
from penstock.agents.requests import NewSession
from penstock.agents.server import bound, url_of
from penstock.agents.types import AgentSpec, EnvironmentSpec, Limits, Principal, Session
from penstock.testing.devices import SimulatedDevice
from penstock.vault.api import open_secrets
from tests.support.agents import ALL_SCOPES
from tests.support.certificates import certificate, write
from tests.support.needs import REPOSITORY, need
from tests.support.sandboxes import need_sandboxes, sandbox_folder
from tests.support.session_world import words

ME = Principal(LOCAL, ALL_SCOPES)
PASSWORDS = {"edge1": "fake-edge1-password-Kq83vX", "edge2": "fake-edge2-password-7Tz1Lm"}
PORT = "GigabitEthernet0/1"
PLANNER = REPOSITORY / "examples" / "network-team" / "planner.py"
LINES = ("configure terminal", "interface *", "description *", "commit", "end", "exit")
PATIENCE = 90


class Network(NamedTuple):
    """Two devices, and who vouches for the second one."""

    edge1: SimulatedDevice
    edge2: SimulatedDevice
    ca_pem: str


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    need_sandboxes()
    need(command="ssh", hint="apt-get install openssh-client")
    need(command="curl", hint="apt-get install curl")
    folder = tmp_path_factory.mktemp("devices")
    authority = certificate("the devices' authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write(folder, "edge2", certificate("edge2", authority, "edge2.example.net")))
    pem = Path(write(folder, "authority", authority)[0]).read_text()
    with (
        SimulatedDevice({"netops": PASSWORDS["edge1"]}) as one,
        SimulatedDevice({"netops": PASSWORDS["edge2"]}, tls=context) as two,
    ):
        yield Network(one, two, pem)


def keep_passwords(vault: Path, devices: Network) -> None:
    store = open_secrets(vault)
    at = "ssh://netops@edge1.example.net:22 ssh"
    commands = [f"shell {at} command='{line}'" for line in LINES]
    store.set(
        "EDGE1",
        PASSWORDS["edge1"].encode(),
        kind="ssh-password",
        env="EDGE1_PASSWORD",
        bindings=[*commands, f"exec {at} command='show *'"],
        options={"host_key": devices.edge1.host_key},
    )
    store.set(
        "EDGE2",
        PASSWORDS["edge2"].encode(),
        env="EDGE2_PASSWORD",
        bindings=["* https://edge2.example.net/restconf/* basic:password"],
        upstream_ca=devices.ca_pem,
    )


@contextlib.asynccontextmanager
async def platform(state: Path, devices: Network) -> AsyncIterator[Platform]:
    """A platform that serves its API, with both passwords in its vault."""
    await asyncio.to_thread(state.mkdir, 0o711, parents=True, exist_ok=True)
    await asyncio.to_thread(keep_passwords, state / "vault", devices)
    listener = bound("127.0.0.1", 0)
    listener.listen(64)
    around = Surroundings(
        pins={
            "edge1.example.net": f"127.0.0.1:{devices.edge1.ssh_port}",
            "edge2.example.net": f"127.0.0.1:{devices.edge2.https_port}",
        }
    )
    places = Places(state / "sessions.db", state / "vault", state / "sandboxes")
    async with opened(places, {"command": Command()}, None, surroundings=around, api=url_of(listener)) as made:
        config = uvicorn.Config(create_app(made.service), log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield made
        finally:
            await made.service.close()
            server.should_exit = True
            await serving


async def agent(made: Platform, name: str, *command: str, secrets: bool = True, workers: tuple[str, ...] = ()) -> str:
    names = ("EDGE1", "EDGE2") if secrets else ()
    spec = AgentSpec(name=name, harness="command", credentials=names, workers=workers, options={"command": [*command]})
    return (await made.service.define(ME, "agent", spec)).id


async def start(made: Platform, agent_id: str, message: str, **limits: Decimal) -> Session:
    place = await made.service.define(ME, "environment", EnvironmentSpec(name="network"))
    wanted = NewSession(agent_id, place.id, message=message, limits=Limits(**limits))  # type: ignore[arg-type]
    return await made.service.start(ME, wanted)


async def turn(made: Platform, session: Session) -> list[SessionEvent]:
    """The events up to the end of its first turn."""
    found: list[SessionEvent] = []
    async with asyncio.timeout(PATIENCE):
        async for page in await made.service.follow(ME, session.id, 0):
            found += [stored.event for stored in page]
            if any(isinstance(event.data, TurnEnd) for event in found):
                return found
    raise AssertionError(f"it ended before that: {found}")


def run(test: Callable[[Platform], Awaitable[None]], devices: Network) -> None:
    async def all_of_it(state: Path) -> None:
        async with platform(state, devices) as made:
            await test(made)

    with sandbox_folder() as state:
        asyncio.run(all_of_it(state))
        check_canary(state)


def check_canary(state: Path) -> None:
    """No password, and no token of an agent, is anywhere that the platform has written."""
    spellings = [spelling for word in PASSWORDS.values() for spelling in spelled(word.encode())]
    for path in (path for path in state.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert not any(spelling in content for spelling in spellings), path


def spelled(word: bytes) -> list[bytes]:
    return [word, word.hex().encode(), base64.b64encode(word).rstrip(b"=")]


def test_a_planner_two_executors_and_a_verifier(devices: Network) -> None:
    async def test(made: Platform) -> None:
        await agent(made, "executor", "sh", "-s")
        await agent(made, "verifier", "sh", "-s")
        planner = await agent(made, "planner", "python3", "-", workers=("executor", "verifier"))
        session = await start(made, planner, PLANNER.read_text(), dollars=Decimal(4))
        events = await turn(made, session)
        said = words(events)
        ended = json.loads(said.strip().splitlines()[-1])
        assert ended == {"edge1": "done", "edge2": "done", "verify": "done"}, await plans_of(made)
        for device in devices[:2]:
            interface = device.stores.running.get(PORT)
            assert interface is not None and interface.description == "uplink to core"
        (plan,) = await plans_of(made)
        assert plan.step("verify").result.splitlines() == ["uplink to core"] * 2
        check_watched(plan, events)
        for step in plan.steps:
            worker = await made.service.session(ME, step.session or "")
            assert (worker.parent, worker.state) == (session.id, State.TERMINATED)
            assert worker.limits.dollars is not None and worker.limits.dollars <= 1, "a quarter of what was left"
        assert ("login", "netops", PASSWORDS["edge1"]) in devices.edge1.record
        assert not any(what == "refused" for device in devices[:2] for what, _, _ in device.record)

    run(test, devices)


async def plans_of(made: Platform) -> list[Plan]:
    return (await made.service.plans.plans(ME, session=None, cursor=None, limit=5)).data


def check_watched(plan: Plan, events: list[SessionEvent]) -> None:
    """Whoever followed the planner's log has seen all of it, in an order that makes sense."""
    changes = [event.data for event in events if isinstance(event.data, PlanChanged)]
    assert [change.version for change in changes] == list(range(1, plan.version + 1))
    team = [event.data.change for event in events if isinstance(event.data, WorkerChanged)]
    assert team.count("started") == team.count("ended") == 3


BOUNDS = """
import json, os, subprocess, urllib.request

def team(*words, text=""):
    return json.loads(subprocess.run(["penstock-team", *words], input=text, capture_output=True, text=True).stdout)

def code(*words, **more):
    return team(*words, **more).get("error", {}).get("code")

print(json.dumps({
    "stranger": code("start", "stranger", "echo"),
    "rich": code("start", "rich", "echo"),
    "money": code("start", "helper", "echo", "--dollars", "5"),
    "itself": code("stop", os.environ["PENSTOCK_SESSION"]),
    "circle": code("plan", "make", "t", text=json.dumps([{"id": "a", "title": "a", "depends_on": ["a"]}])),
    "token": os.environ["PENSTOCK_AGENTS_TOKEN"],
}))
steps = [{"id": "a", "title": "a", "depends_on": ["b"]}, {"id": "b", "title": "b"}]
plan = team("plan", "make", "t", text=json.dumps(steps))
early = code("start", "helper", "sleep 1000", "--dollars", "1", "--step", plan["id"] + "/a")
worker = team("start", "helper", "env; sleep 1000", "--dollars", "1")
found = team("await", worker["id"], "--timeout", "0.2")
print(json.dumps([early, found["done"], [each["id"] for each in found["working"]]]))
"""


def test_what_a_supervisor_may_not_and_that_its_workers_end_with_it(devices: Network) -> None:
    async def test(made: Platform) -> None:
        await agent(made, "helper", "sh", "-s", secrets=False)
        await agent(made, "rich", "sh", "-s")
        await agent(made, "stranger", "sh", "-s", secrets=False)
        boss = await agent(made, "boss", "python3", "-", secrets=False, workers=("helper", "rich"))
        session = await start(made, boss, BOUNDS, dollars=Decimal(2))
        refusals, seen = filter(None, words(await turn(made, session)).splitlines())
        refused = json.loads(refusals)
        token = refused.pop("token")
        wanted = {"stranger": "no_such_agent", "rich": "forbidden", "money": "over_budget", "itself": "forbidden"}
        assert refused == {**wanted, "circle": "invalid_request"}
        assert await made.service.authenticate(token) is None, "it holds a stub"
        team = await made.service.team(ME, session.id)
        worker, unwanted = team.workers
        assert unwanted.state is State.TERMINATED, "the plan did not want it yet"
        assert json.loads(seen) == ["step_state", [], [worker.id]]
        assert team.left.dollars == 1
        await made.service.terminate(ME, session.id)
        await made.runner.settled()
        assert (await made.service.session(ME, worker.id)).stop_reason == "supervisor"
        assert not await made.driver.living(), "neither sandbox is left"
        assert not await made.way_out.keys(), "nor a token"
        with pytest.raises(Conflict):
            await made.service.resume(ME, worker.id)

    run(test, devices)
