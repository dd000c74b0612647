"""The contract of drivers, kept by the docker driver with an engine of the tests' own, and what is particular to it.

A container takes a third of a second to make: tests that ask for nothing special share one, emptied after each.
"""

import asyncio
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from penstock.agents.environments.looking import Seen, look_inside
from penstock.agents.sandboxes.docker import DockerDriver
from penstock.agents.sandboxes.docker.container import LABEL
from penstock.agents.sandboxes.docker.sandbox import DockerSandbox
from penstock.agents.sandboxes.driver import (
    CannotCreate,
    Driver,
    File,
    HostLacks,
    Identity,
    InvalidSpec,
    Listener,
    Sandbox,
)
from penstock.agents.sandboxes.local.state import State
from penstock.agents.single_run import Job
from penstock.vault.api import Secrets
from tests.contract.sandboxes.driver import DriverContract, alone, drain, finish, output_of, shell, specification
from tests.support import docker, need
from tests.support.behind import Behind, behind
from tests.support.recording_upstream import recording_upstream
from tests.support.sandboxes import need_sandboxes

Test = Callable[[Sandbox], Coroutine[Any, Any, None]]


class Common:
    """One sandbox for many tests, in one event loop; a new one when a test has ended it."""

    def __init__(self, folder: Path, engine: str) -> None:
        self._runner = asyncio.Runner()
        self._folder, self._engine = folder, engine
        self._driver: DockerDriver | None = None
        self._sandbox: Sandbox | None = None

    def run(self, test: Test) -> None:
        self._runner.run(self._run(test))

    async def _run(self, test: Test) -> None:
        if self._driver is None:
            self._driver = DockerDriver(self._folder, image=docker.IMAGE, engine=self._engine)
        if self._sandbox is None:
            self._sandbox = await self._driver.create(specification(), alone)
        sandbox, self._sandbox = self._sandbox, None
        try:
            await test(sandbox)
            await sandbox.resume()
            await sandbox.stop()
            await output_of(sandbox, "cd; rm -rf ~/.[!.]* ~/* /workspace/* /workspace/.[!.]* /tmp/*")
            assert await output_of(sandbox, "ls -A ~ /workspace /tmp | grep -v : | wc -w") == "0\n"
        except BaseException:
            await sandbox.destroy(workspace=True)
            raise
        self._sandbox = sandbox

    def close(self) -> None:
        async def end() -> None:
            if self._sandbox is not None:
                await self._sandbox.destroy(workspace=True)
            if self._driver is not None:
                await self._driver.close()

        self._runner.run(end())
        self._runner.close()


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with docker.engine() as path:
        yield path


@pytest.fixture(scope="module")
def common(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Common]:
    made = Common(tmp_path_factory.mktemp("common") / "state", engine)
    yield made
    made.close()


class TestDocker(DriverContract):
    @pytest.fixture(autouse=True)
    def _places(self, engine: str, common: Common, tmp_path: Path) -> None:
        self.engine, self.common = engine, common
        self.folder = tmp_path / "state"

    def run(self, test: Test, **fields: Any) -> None:
        if fields:
            super().run(test, **fields)
        else:
            self.common.run(test)

    def new_driver(self) -> AbstractAsyncContextManager[Driver]:
        @asynccontextmanager
        async def made() -> AsyncIterator[Driver]:
            driver = DockerDriver(self.folder, image=docker.IMAGE, engine=self.engine)
            try:
                yield driver
            finally:
                await driver.close()

        return made()

    def host_sees(self) -> set[str]:
        return leftovers(self.folder, self.engine)


def leftovers(folder: Path, engine: str) -> set[str]:
    """What there is of a driver's sandboxes: processes, containers, records."""
    state = State(folder, as_root=True)
    containers = docker.ask(engine, "/containers/json?all=true")
    ours = {str(one["Names"]) for one in containers if one["Labels"][LABEL].startswith(f"{state.instance}/")}
    processes = {f"process {pid}" for pid in state.marked()}
    return ours | processes | {str(path) for path in (folder / "run").glob("*")}


# -- the wall ---------------------------------------------------------------------------------------------------------


def test_what_a_program_inside_has_and_sees(common: Common) -> None:
    async def test(sandbox: Sandbox) -> None:
        status = dict(line.split(":\t", 1) for line in (await output_of(sandbox, "cat /proc/self/status")).splitlines())
        capabilities = {name: int(value, 16) for name, value in status.items() if name.startswith("Cap")}
        assert len(capabilities) == 5 and not any(capabilities.values())
        assert (status["NoNewPrivs"], status["Seccomp"], status["Groups"].split()) == ("1", "2", [])
        hidden = await output_of(sandbox, "ls -A /sys /proc/acpi /proc/irq; cat /proc/keys /proc/timer_list")
        assert hidden.split() == ["/proc/acpi:", "/proc/irq:", "/sys:"]
        assert (await output_of(sandbox, "ls -A /run /var/run 2>/dev/null | grep -c sock || true")) == "0\n"
        assert "lo:" in (await output_of(sandbox, "tail -n +3 /proc/net/dev")).split()
        assert len((await output_of(sandbox, "tail -n +3 /proc/net/dev")).splitlines()) == 1
        _, first, _ = await shell(sandbox, "tr '\\0' '\\n' < /proc/1/environ")  # with Landlock it cannot be read at all
        assert {line.partition("=")[0] for line in first.splitlines()} <= {"HOME", "HOSTNAME", "PATH", "SANDBOX", "PWD"}

    common.run(test)


@pytest.mark.parametrize(
    "script",
    [
        "touch /new",
        "echo x >> /etc/passwd",
        "echo x > /proc/sys/kernel/core_pattern",
        "echo x > /proc/1/oom_score_adj",
        "unshare -U true",
        "unshare -n true",
        "mount -t tmpfs none /tmp",
        "chroot / true",
        "mkdir /dev/x",
        "rm -f /etc/hosts",
        "echo 80 > /proc/sys/net/ipv4/ip_unprivileged_port_start",
        "exec 3<>/dev/tcp/127.0.0.1/22",
    ],
)
def test_what_a_program_inside_cannot_do(common: Common, script: str) -> None:
    async def test(sandbox: Sandbox) -> None:
        status, _, error = await finish(await sandbox.exec(["bash", "-c", script]))
        assert status != 0 and b"not found" not in error, (script, error)

    common.run(test)


WATCH = """
echo watching; end=$((SECONDS + 20)); seen=0
while ((SECONDS < end && seen < 200)); do
  for d in /proc/[0-9]*; do
    { read -r name < $d/comm; } 2>/dev/null && [[ $name == sandbox-helper ]] || continue
    seen=$((seen + 1)); got=
    { read -r -n1 x < $d/environ && got+=environ; read -r -n1 x < $d/maps && got+=maps; } 2>/dev/null
    [[ -e $d/exe ]] && got+=exe; [[ -e $d/cwd ]] && got+=cwd; [[ -e $d/root ]] && got+=root
    fds=($d/fd/*); [[ -e ${fds[0]} ]] && got+=fd
    { read -r name < $d/comm; } 2>/dev/null && [[ $name == sandbox-helper && -n $got ]] && echo $got
  done
done
((seen > 0)) && echo seen
"""


def test_whoever_watches_helpers_come_in_gets_nothing(common: Common) -> None:
    """They are root until they are inside, and Python with our modules until they execute the program."""

    async def test(sandbox: Sandbox) -> None:
        watcher = await sandbox.exec(["bash", "-c", WATCH])
        assert await watcher.read() == b"watching\n"
        shown = asyncio.ensure_future(drain(watcher.read))
        while not shown.done():
            await (await sandbox.exec(["true"])).wait()
        assert await shown == b"seen\n"

    common.run(test)


def test_ways_out_that_need_the_kernels_help(engine: str, tmp_path: Path) -> None:
    """Names by UDP, and a port without a listener: both end at the vault, which learns where they wanted to go."""

    async def test() -> None:
        held: dict[str, socket.socket] = {}

        async def attach(listeners: Sequence[Listener]) -> None:
            held.update({one.kind: one.socket.dup() for one in listeners if one.kind in ("dns", "redirected")})

        async with running(tmp_path, engine, attach) as sandbox:
            await finish(await sandbox.exec(["bash", "-c", "echo question > /dev/udp/10.0.0.53/53"]))
            held["dns"].setblocking(True)
            assert await asyncio.to_thread(held["dns"].recv, 100) == b"question\n"
            if "redirected" in held:
                process = await sandbox.exec(["bash", "-c", "exec 3<>/dev/tcp/203.0.113.7/8443; cat <&3"])
                accepted, _ = await asyncio.to_thread(held["redirected"].accept)
                wanted = struct.unpack_from("!HH4s", accepted.getsockopt(socket.SOL_IP, 80, 16))  # SO_ORIGINAL_DST
                assert (wanted[1], socket.inet_ntoa(wanted[2])) == (8443, "203.0.113.7")
                accepted.close()
                await process.wait()
            for one in held.values():
                one.close()

    asyncio.run(test())


TOKEN = "ghp_fakeDockerK3nM8vC2xZ5lJ7hG1fD4sA6pO"


def test_a_real_client_behind_a_real_vault(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upstream sees the credential; the container saw a stub, whichever way its connection took."""
    need(command="curl", hint="apt-get install curl")
    docker.make_image(engine, "curl:latest", programs=(*docker.PROGRAMS, "curl"))
    monkeypatch.setattr(
        "tests.support.behind.LocalDriver", lambda folder: DockerDriver(folder, image="curl:latest", engine=engine)
    )
    with recording_upstream(tmp_path, "api.example.test") as upstream:

        def prepare(secrets: Secrets) -> Job:
            bindings = ["GET https://api.example.test/* header:authorization"]
            secrets.set("TOKEN", TOKEN.encode(), bindings=bindings, env="TOKEN", upstream_ca=upstream.ca_pem)
            return Job(argv=(), secrets=("TOKEN",), pins={"api.example.test": f"127.0.0.1:{upstream.port}"})

        with behind(prepare, None, Behind) as inside:
            for way in ("", "--noproxy '*'"):
                curl = f'curl -sS --fail {way} -H "Authorization: Bearer $TOKEN"'
                done = inside.shell(f"{curl} https://api.example.test/x; env")
                assert done.status == 0 and TOKEN not in done.said, done.said
                assert inside.shell(f"{curl} https://elsewhere.example.test/").status != 0
        assert [each.header("authorization") for each in upstream.asked] == [[f"Bearer {TOKEN}"]] * 2


# -- images -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def running(folder: Path, engine: str, attach: Any = alone, **fields: Any) -> AsyncIterator[Sandbox]:
    driver = DockerDriver(folder / "state", image=docker.IMAGE, engine=engine)
    try:
        made = await driver.create(specification(**fields), attach)
        try:
            yield made
        finally:
            await made.destroy()
    finally:
        await driver.close()
    assert leftovers(folder / "state", engine) == set()


def test_what_an_image_brings_does_not_run_and_leaves_nothing(engine: str, tmp_path: Path) -> None:
    """Its variables are kept; its user, entry point, health check and volumes are not."""
    docker.make_image(
        engine, "traps:latest",
        "ENV EXTRA=kept", "ENV HOME=/elsewhere", "ENV PATH=/opt/bin:/usr/bin", "VOLUME /data", "VOLUME /workspace",
        "USER root", 'ENTRYPOINT ["/bin/false"]', "HEALTHCHECK --interval=1s CMD touch /tmp/health", "WORKDIR /data",
    )  # fmt: skip

    async def test() -> None:
        async with running(tmp_path, engine, image="traps:latest") as sandbox:
            shown = await output_of(sandbox, 'echo "$EXTRA $HOME $PATH"; id -u; pwd')
            assert shown == "kept /home/agent /home/agent/.local/bin:/opt/bin:/usr/bin\n1000\n/workspace\n"
            assert (await shell(sandbox, "ls -A /data; echo x > /data/file"))[0] != 0
            assert await output_of(sandbox, "grep -c ' /data ro.* tmpfs ' /proc/self/mountinfo") == "1\n"
        assert not docker.ask(engine, "/volumes")["Volumes"]

    asyncio.run(test())


def test_an_image_that_is_not_there_or_has_no_shell(engine: str, tmp_path: Path) -> None:
    docker.make_image(engine, "bare:latest", programs=["cat"])

    async def test() -> None:
        driver = DockerDriver(tmp_path / "state", engine=engine)
        for image, error, words in (
            ("", InvalidSpec, "no image"),
            ("nothing/such:1", InvalidSpec, "no image 'nothing/such:1'"),
            ("../containers/x", InvalidSpec, "cannot be the name"),
            ("x/../../info", InvalidSpec, "cannot be the name"),
            ("x?a=b", InvalidSpec, "cannot be the name"),
            ("bare:latest", CannotCreate, "/bin/sh"),
        ):
            with pytest.raises(error, match=words):
                await driver.create(specification(image=image), alone)
            assert leftovers(tmp_path / "state", engine) == set()
        await driver.close()

    asyncio.run(test())


def test_what_an_image_has_is_seen_and_named(engine: str, tmp_path: Path) -> None:
    """So that what is in it is not installed, and what was installed in one system is not used in another."""
    docker.make_image(engine, "with-path:latest", "ENV PATH=/usr/bin:/opt/own")

    async def test() -> None:
        driver = DockerDriver(tmp_path / "state", image=docker.IMAGE, engine=engine)
        assert await look_inside(driver, "with-path:latest", "stat") == Seen(
            True, "/home/agent/.local/bin:/usr/bin:/opt/own"
        )
        assert not (await look_inside(driver, "", "no-such-program")).has_program
        assert not (await look_inside(driver, "", "")).has_program
        names = {await driver.system(), await driver.system(docker.IMAGE), await driver.system("with-path:latest")}
        assert len(names) == 2
        with pytest.raises(InvalidSpec, match="no image"):
            await driver.system("no-such-image")
        await driver.close()

    asyncio.run(test())
    assert leftovers(tmp_path / "state", engine) == set()


def test_files_are_placed_wherever_the_vault_says(engine: str, tmp_path: Path) -> None:
    """Where the image has no such path, where a folder is the agent's, and over what a link of the agent's leads to:
    in this container, and nowhere else.
    """
    places = {
        "/opt/new/folder/tool": File(b"#!/bin/sh\necho runs\n", 0o755),
        "/home/agent/.config/deep/file": File(b"mine"),
        "/home/agent/link": File(b"linked"),
        "/run/placed": File(b"run"),
    }

    async def attach(listeners: Sequence[Listener]) -> Identity:
        return Identity(files=places)

    async def test() -> None:
        async with running(tmp_path, engine) as sandbox:
            await output_of(sandbox, "ln -s /etc/passwd ~/link")
        async with running(tmp_path, engine, attach) as sandbox:
            script = "/opt/new/folder/tool; cat ~/.config/deep/file ~/link /run/placed; stat -c ' %u' ~/.config"
            assert await output_of(sandbox, script) == "runs\nminelinkedrun 1000\n"
            for path in places:
                assert (await shell(sandbox, f"echo x > {path}"))[0] != 0, path
            assert (await shell(sandbox, "touch /opt/new/folder/x /opt/x"))[0] != 0
        async with running(tmp_path, engine) as sandbox:
            assert await output_of(sandbox, "head -c 4 /etc/passwd; ls -A ~/.config/deep") == "rootfile\n"

    asyncio.run(test())


def test_a_workspace_of_the_local_driver_is_refused(engine: str, tmp_path: Path) -> None:
    state = State(tmp_path / "state", as_root=True)
    (tmp_path / "state" / "workspaces").mkdir(parents=True)
    assert state.make_workspace("one") > 1000

    async def test() -> None:
        with pytest.raises(InvalidSpec, match="another driver"):
            async with running(tmp_path, engine):
                pass

    asyncio.run(test())


# -- engines ----------------------------------------------------------------------------------------------------------


def test_a_process_that_is_not_the_containers_is_not_entered(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with an engine in a virtual machine, whose pids mean something else here."""
    monkeypatch.setattr("penstock.agents.sandboxes.docker.driver.APPEARING", 0.05)

    async def test() -> None:
        driver = DockerDriver(tmp_path / "state", image=docker.IMAGE, engine=engine)
        ask = driver.engine.ask

        async def elsewhere(method: str, path: str, *more: Any, **query: str) -> Any:
            said = await ask(method, path, *more, **query)
            if path.endswith("/json") and "State" in said:
                said["State"]["Pid"] = os.getpid()
            return said

        monkeypatch.setattr(driver.engine, "ask", elsewhere)
        with pytest.raises(HostLacks, match="not processes of this machine"):
            await driver.create(specification(), alone)
        await driver.close()

    asyncio.run(test())
    assert leftovers(tmp_path / "state", engine) == set()


def test_a_folder_that_is_another_one_for_the_engine_is_refused(engine: str, tmp_path: Path) -> None:
    """As when this process is in a container, and the engine outside has a folder of the same name."""
    (tmp_path / "other").mkdir()

    async def test() -> None:
        driver = DockerDriver(tmp_path / "state", image=docker.IMAGE, engine=engine)
        ask = driver.engine.ask

        async def elsewhere(method: str, path: str, body: Any = None, **query: str) -> Any:
            if path == "/containers/create":
                for mount in body["HostConfig"]["Mounts"]:
                    mount["Source"] = str(tmp_path / "other")
            return await ask(method, path, body, **query)

        driver.engine.ask = elsewhere  # type: ignore[method-assign]
        with pytest.raises(HostLacks, match="another folder"):
            await driver.create(specification(), alone)
        await driver.close()

    asyncio.run(test())
    assert leftovers(tmp_path / "state", engine) == set()


def test_there_is_no_weak_isolation(engine: str, tmp_path: Path) -> None:
    """Who accepts less gets the same wall, and its sandbox says so; a host that cannot make it makes none."""

    async def test() -> None:
        async with running(tmp_path, engine, isolation="weak") as sandbox:
            assert sandbox.isolation == "full" and sandbox.in_force["filter"] == "seccomp"
            assert "Seccomp:\t2" in await output_of(sandbox, "cat /proc/self/status")
        driver = DockerDriver(tmp_path / "state", image=docker.IMAGE, engine=engine)
        driver.offers = no_filter  # type: ignore[method-assign]
        for isolation in ("full", "weak"):
            with pytest.raises(HostLacks, match="cannot filter"):
                await driver.create(specification(isolation=isolation), alone)
        await driver.close()

    async def no_filter(what: str, **more: str) -> str | None:
        return "Function not implemented"

    asyncio.run(test())
    assert leftovers(tmp_path / "state", engine) == set()


def test_without_root_or_an_engine_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker.need_root()
    need_sandboxes()

    async def test() -> None:
        driver = DockerDriver(tmp_path / "state", image=docker.IMAGE, engine=str(tmp_path / "nothing"))
        with pytest.raises(HostLacks, match="no engine answers"):
            await driver.create(specification(), alone)
        with pytest.raises(HostLacks, match="no engine answers"):
            await driver.prepare()
        report = await driver.check()
        assert report.isolation is None
        assert [one.name for one in report.findings if not one.works] == ["engine"]
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        with pytest.raises(HostLacks, match="must be root"):
            await driver.create(specification(), alone)
        await driver.close()

    asyncio.run(test())


def test_somebody_pauses_the_container_by_the_engines_own_command(engine: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, engine) as sandbox:
            container = container_of(tmp_path, engine)
            docker.tell(engine, f"/containers/{container}/pause")
            waiting = asyncio.ensure_future(output_of(sandbox, "echo waited"))
            await sandbox.suspend()
            assert not waiting.done()
            docker.tell(engine, f"/containers/{container}/unpause")
            assert await waiting == "waited\n"
            await sandbox.resume()
            assert await output_of(sandbox, "echo lives") == "lives\n"
            docker.tell(engine, f"/containers/{container}/pause")  # and so it is destroyed

    asyncio.run(test())


def container_of(folder: Path, engine: str) -> str:
    wanted = json.dumps({"name": [f"penstock-{State(folder / 'state', as_root=True).instance}-"]})
    return str(docker.ask(engine, f"/containers/json?filters={quote(wanted)}")[0]["Id"])


def test_without_the_engine_programs_run_on_and_can_be_ended(engine: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, engine) as sandbox:
            assert isinstance(sandbox, DockerSandbox)
            there, sandbox._engine.socket = sandbox._engine.socket, str(tmp_path / "nothing")
            await sandbox._engine.close()
            process = await sandbox.exec(["sleep", "1000"])
            with pytest.raises(HostLacks, match="no engine answers"):
                await sandbox.suspend()
            assert await output_of(sandbox, "echo lives") == "lives\n"
            with pytest.raises(HostLacks, match="no engine answers"):
                await sandbox.destroy()
            assert (await process.wait()).status == 128 + signal.SIGKILL
            sandbox._engine.socket = there
            await sandbox._engine.close()

    asyncio.run(test())


def test_somebody_ends_the_container_by_the_engines_own_command(engine: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, engine) as sandbox:
            process = await sandbox.exec(["sleep", "1000"])
            container = container_of(tmp_path, engine)
            docker.tell(engine, f"/containers/{container}/kill")
            assert (await sandbox.wait()).reason == "sandbox_died"
            ended = await process.wait()
            assert (ended.status, ended.reason) == (128 + signal.SIGKILL, "sandbox_died")

    asyncio.run(test())


SERVER = """
import asyncio, sys
from pathlib import Path
from penstock.agents.sandboxes.docker import DockerDriver
from penstock.agents.sandboxes.driver import SandboxSpec

async def alone(listeners):
    pass

async def main():
    driver = DockerDriver(Path(sys.argv[1]), image=sys.argv[2], engine=sys.argv[3])
    for number in range(100):
        sandbox = await driver.create(SandboxSpec(id=f"s{number}", workspace=f"w{number}"), alone)
        await sandbox.exec(["sleep", "1000"])
        print(sandbox.handle, flush=True)

asyncio.run(main())
"""


def test_a_killed_server_loses_and_leaves_nothing(engine: str, tmp_path: Path) -> None:
    """Killed while it makes its second sandbox, at whichever step that is."""
    arguments = [sys.executable, "-c", SERVER, str(tmp_path / "state"), docker.IMAGE, engine]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        handle = server.stdout.readline().strip()
        with pytest.raises(subprocess.TimeoutExpired):
            server.wait(random.uniform(0, 0.4))
        server.kill()
        made = [handle, *server.stdout.read().split("\n")]

    async def test() -> None:
        driver = DockerDriver(tmp_path / "state", image=docker.IMAGE, engine=engine)
        found = await driver.adopt(handle)
        assert found is not None
        assert await output_of(found, "echo lives") == "lives\n"
        await driver.sweep(keep=made)
        assert set(await driver.living()) == {text for text in made if text}
        for text in await driver.living():
            sandbox = await driver.adopt(text)
            assert sandbox is not None
            await sandbox.destroy()
        await driver.sweep(keep=[])
        await driver.close()

    asyncio.run(test())
    assert leftovers(tmp_path / "state", engine) == set()
