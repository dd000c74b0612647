"""Sessions in containers, as their user starts them: `penstock agents serve --driver docker`, and `penstock run` with
an image. The engine is a real one of the tests' own (tests/support/docker.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from penstock.agents.sandboxes.docker.container import LABEL
from tests.e2e.gateway import KEY, environment_for, serving
from tests.support import docker, need
from tests.support.canary import Canary
from tests.support.killed_sessions import PATIENCE, AgentsProcess
from tests.support.recording_upstream import RecordingUpstream, recording_upstream
from tests.support.runs import Machine
from tests.support.sandboxes import need_sandboxes, sandbox_folder
from tests.support.waiting import until

TOKEN = "ghp_fakeDockerSessionT4nW8vC2xZ5lJ7hG1fD4"
CURL = "curl:latest"


class Here(NamedTuple):
    """An engine, a machine whose user has kept a secret, and the upstream that it is bound to."""

    engine: str
    machine: Machine
    upstream: RecordingUpstream

    @property
    def ask(self) -> str:
        """A script that asks the upstream, with the stub that it was given."""
        url = f"https://127.0.0.1:{self.upstream.port}/x"
        return f'curl -sS --fail -H "Authorization: Bearer $TOKEN" {url} >/dev/null && echo asked'

    def containers(self) -> list[str]:
        """The ids of sandboxes' containers."""
        found = docker.ask(self.engine, "/containers/json?all=true")
        return [str(one["Id"]) for one in found if LABEL in one["Labels"]]

    def check_no_leak(self, *said: bytes | str) -> None:
        """The secret reached the upstream only."""
        canary = Canary(TOKEN.encode())
        canary.absent("what was said", *said)
        canary.absent_from_files(*(path for path in self.machine.state.iterdir() if path.name != "vault"))
        for id_ in self.containers():
            about = docker.ask(self.engine, f"/containers/{id_}/json")
            canary.absent("the engine's description", json.dumps(about))
            canary.absent_from_process(about["State"]["Pid"])


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    need_sandboxes()
    need(command="curl", hint="apt-get install curl")
    folder = tmp_path_factory.mktemp("upstream")
    with docker.engine() as engine, sandbox_folder() as state, recording_upstream(folder) as upstream:
        docker.make_image(engine, CURL, programs=(*docker.PROGRAMS, "curl"))
        state.mkdir(mode=0o711)
        machine = Machine(state)
        machine.environment["DOCKER_HOST"] = f"unix://{engine}"
        (folder / "ca.pem").write_text(upstream.ca_pem)
        binding = f"GET https://127.0.0.1:{upstream.port}/* header:authorization"
        machine.secret("TOKEN", TOKEN, binding, env="TOKEN", upstream_ca=folder / "ca.pem")
        yield Here(engine, machine, upstream)


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    with serving({**environment_for(), "PENSTOCK_MASTER_KEY": KEY}, "--workers", "1") as found:
        yield found.url


@pytest.fixture
def server(here: Here, gateway: str) -> Iterator[AgentsProcess]:
    options = ("--driver", "docker", "--image", CURL)
    made = AgentsProcess(here.machine.state, gateway, KEY, here.machine.environment, *options)
    made.start()
    try:
        yield made
    finally:
        made.stop()


# -- a server ---------------------------------------------------------------------------------------------------------


def session_of(server: AgentsProcess, script: str, **environment: Any) -> str:
    """A new session of the harness `command`, whose messages each run the script."""
    agent = {
        "name": "asks",
        "harness": "command",
        "credentials": ["TOKEN"],
        "options": {"command": ["sh", "-c", script]},
    }
    made = server.call("POST", "/v1/agents", agent)["id"]
    where = server.call("POST", "/v1/environments", {"name": "container", **environment})["id"]
    return str(server.call("POST", "/v1/sessions", {"agent": made, "environment": where, "message": "go"})["id"])


def awaited(server: AgentsProcess, session: str, seen: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The session's events, once they are so."""
    last = time.monotonic() + PATIENCE
    while not seen(found := [event["data"] for event in server.events(session)]):
        assert time.monotonic() < last, (found, server.log.read_text()[-3000:])
        time.sleep(0.05)
    return found


def turns(events: list[dict[str, Any]]) -> list[str]:
    """How its turns have ended."""
    return [event["outcome"] for event in events if event["kind"] == "turn_end"]


def words(events: list[dict[str, Any]]) -> str:
    """What the agent said."""
    return "".join(event["text"] for event in events if event["kind"] == "text")


def test_a_session_lives_in_a_container_whatever_happens_to_its_server(here: Here, server: AgentsProcess) -> None:
    """Its secret reaches the bound upstream only; kill -9 of the server, and the next one adopts it; a server with
    another driver leaves it alone.
    """
    asked = len(here.upstream.asked)
    session = session_of(server, f"{here.ask}; echo line >> notes; wc -l < notes; env", image=CURL, isolation="weak")
    events = awaited(server, session, lambda found: len(turns(found)) == 1)
    assert turns(events) == ["completed"] and words(events).startswith("asked\n1\n"), events
    row = server.call("GET", f"/v1/sessions/{session}")
    assert (row["sandbox"]["driver"], row["driver"]) == ("docker", "docker")
    assert (row["sandbox"]["isolation"], row["isolation"]) == ("full", "full"), "there is no weaker wall to be had"
    (container,) = here.containers()
    here.check_no_leak(json.dumps(events), json.dumps(row))

    server.kill()
    server.call("POST", f"/v1/sessions/{session}/messages", {"text": "again"})
    events = awaited(server, session, lambda found: len(turns(found)) == 2)
    assert words(events).count("asked\n2\n") == 1, events
    assert here.containers() == [container]
    assert [each.header("authorization") for each in here.upstream.asked[asked:]] == [[f"Bearer {TOKEN}"]] * 2

    server.stop()
    server.reopen("--driver", "local")
    assert "are left alone: 1 of docker" in server.log.read_text()
    server.call("POST", f"/v1/sessions/{session}/messages", {"text": "third"})
    events = awaited(server, session, lambda found: found[-1].get("code") == "other_driver")
    assert "--driver docker" in events[-1]["fix"]
    assert here.containers() == [container]

    server.stop()
    server.reopen("--driver", "docker")
    events = awaited(server, session, lambda found: len(turns(found)) == 3)
    assert words(events).count("asked\n3\n") == 1 and here.containers() == [container]

    server.stop()
    server.reopen("--driver", "local")
    over = server.call("POST", f"/v1/sessions/{session}/terminate")
    assert (over["state"], over["isolation"]) == ("terminated", "full")
    server.stop()
    assert here.containers() == [container], "it is not this one's to end"
    server.reopen("--driver", "docker")
    until(lambda: not here.containers(), PATIENCE)
    here.check_no_leak(server.log.read_bytes(), json.dumps(server.events(session)))


def test_an_image_that_is_not_there_is_said(here: Here, server: AgentsProcess) -> None:
    agent = {"name": "waits", "harness": "command", "options": {"command": ["true"]}}
    server.call("POST", "/v1/agents", agent)
    made = here.machine.call("sessions", "create", "waits", "go", "--image", "no-such-image:1")
    assert made.returncode == 0, made.stderr
    session = made.stdout.decode().strip()
    events = awaited(server, session, lambda found: any(event["kind"] == "error" for event in found))
    (error,) = [event for event in events if event["kind"] == "error"]
    assert "no image 'no-such-image:1'" in error["message"] and "docker pull" in error["fix"]


REFUSED = {
    "no engine": (["--driver", "docker", "--engine", "/nothing/docker.sock"], b"no engine answers"),
    "an engine elsewhere": (["--driver", "docker", "--engine", "tcp://192.0.2.1:2375"], b"on another machine"),
    "no such image": (["--image", "no-such-image:1"], b"docker pull"),
    "an image of the local driver": (["--driver", "local", "--image", CURL], b"choose --driver docker"),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_had_is_said_at_the_start(here: Here, arguments: list[str], said: bytes) -> None:
    gateway = ["--gateway", "http://127.0.0.1:1", "--port", "0"]
    served = here.machine.call("agents", "serve", *gateway, *arguments, PENSTOCK_GATEWAY_KEY=KEY)
    assert served.returncode == 1 and said in served.stderr, served.stderr
    run = here.machine.run(*arguments, "--", "true")
    assert run.returncode == 1 and said in run.stderr, run.stderr
    assert not here.machine.remains()


def test_what_waits_needs_an_image(here: Here, gateway: str) -> None:
    options = ["--gateway", gateway, "--port", "0", "--driver", "docker", "--pool", "1"]
    served = here.machine.call("agents", "serve", *options, PENSTOCK_GATEWAY_KEY=KEY)
    assert served.returncode == 1 and b"no image is named" in served.stderr, served.stderr


def test_no_such_driver(here: Here) -> None:
    done = here.machine.run("--driver", "podman", "--", "true")
    assert done.returncode == 2 and b"'local', 'docker'" in done.stderr


# -- a run ------------------------------------------------------------------------------------------------------------


def test_one_program_in_an_image(here: Here, tmp_path: Path) -> None:
    """Its output and its status, its folder; a stub inside, and nothing left."""
    (tmp_path / "given").write_text("mine\n")
    asked = len(here.upstream.asked)
    script = f"{here.ask}; cat given; echo more >> given; env; ls /opt; exit 7"
    options = ["--driver", "docker", "--image", CURL, "--secret", "TOKEN", "--workspace", str(tmp_path)]
    done = here.machine.run(*options, "--", "sh", "-c", script)
    assert done.returncode == 7 and done.stdout.startswith(b"asked\nmine\n"), done
    assert (tmp_path / "given").read_text() == "mine\nmore\n"
    assert [each.header("authorization") for each in here.upstream.asked[asked:]] == [[f"Bearer {TOKEN}"]]
    here.check_no_leak(done.stdout, done.stderr)
    assert not here.machine.remains() and not here.containers()


def test_an_agent_in_an_image(here: Here, tmp_path: Path) -> None:
    """The agent that comes with Penstock, with the image's own Python, and a model through the gateway."""
    need(command="/usr/bin/python3", hint="apt-get install python3")
    python = Path("/usr/bin/python3").resolve()
    programs = (*docker.PROGRAMS, "python3")
    folders = {f"/usr/lib/{python.name}": Path("/usr/lib", python.name)}
    docker.make_image(here.engine, "python:latest", programs=programs, folders=folders)
    (tmp_path / "given").write_text("mine\n")
    options = ["--model", "demo", "--image", "python:latest", "--workspace", str(tmp_path)]
    done = here.machine.call("run", "loop", *options, "hello")
    assert done.returncode == 0 and b"You said: hello" in done.stdout, done
    assert (tmp_path / "given").read_text() == "mine\n"
    assert not here.machine.remains() and not here.containers()


def test_a_killed_run_is_ended_by_the_next_one_whatever_that_runs_in(here: Here) -> None:
    running = here.machine.start("--image", CURL, "--", "sh", "-c", "echo ready; sleep 1000")
    assert running.stdout is not None and running.stdout.readline() == b"ready\n"
    assert len(here.containers()) == 1
    running.kill()
    running.communicate()
    assert here.machine.run("--", "true").returncode == 0
    assert not here.containers()
    until(lambda: not here.machine.remains())


def test_doctor_says_what_the_engine_offers(here: Here) -> None:
    without, tried = here.machine.call("doctor"), here.machine.call("doctor", "--image", CURL)
    for done in (without, tried):
        assert b"ok  sandboxes (docker): full isolation" in done.stdout, done.stdout
    assert b"no sandbox was tried" in without.stdout and b"no sandbox was tried" not in tried.stdout
