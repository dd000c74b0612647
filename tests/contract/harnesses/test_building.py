"""Environments as they are built: in a sandbox whose only way out is a registry, here a small one on this machine."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from penstock.agents.environments.building import Builder, CannotBuild, alone_in
from penstock.agents.environments.packages import AT, Packages, Registry, variables
from penstock.agents.sandboxes.driver import Listener, Mount, Sandbox, SandboxSpec
from penstock.agents.sandboxes.local import LocalDriver
from penstock.vault.api import VaultClient, open_secrets
from tests.support.needs import need
from tests.support.sandboxes import need_sandboxes, sandbox_folder

need_sandboxes()
need(command="npm", hint="apt-get install npm")

PROGRAM = b"#!/bin/sh\necho greetings\n"
HOOK = "touch $HOME/ran; (cat /etc/shadow; env) > hook.txt 2>&1; echo > hooked"
"""What an installation may do: whatever it likes, where there is nothing to take."""


class Npm:
    """A registry with one package, and all paths that it was asked for."""

    def __init__(self) -> None:
        registry = self
        self.asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                content = registry.content(self.path)
                self.send_response(200 if content else 404)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def content(self, path: str) -> bytes:
        if path.endswith(".tgz"):
            return self._archive()
        if path != "/greeter":
            return b""
        version = {**self._manifest(), "dist": {"tarball": f"{self.url}/greeter.tgz"}}
        return json.dumps(
            {"name": "greeter", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
        ).encode()

    def _manifest(self) -> dict[str, Any]:
        return {"name": "greeter", "version": "1.0.0", "bin": {"greeter": "greet.sh"}, "scripts": {"preinstall": HOOK}}

    def _archive(self) -> bytes:
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w:gz") as archive:
            for name, content in (("package.json", json.dumps(self._manifest()).encode()), ("greet.sh", PROGRAM)):
                member = tarfile.TarInfo(f"package/{name}")
                member.size, member.mode = len(content), 0o755
                archive.addfile(member, io.BytesIO(content))
        return made.getvalue()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def built() -> Iterator[tuple[Npm, asyncio.Runner, LocalDriver, VaultClient, Path]]:
    npm = Npm()
    with sandbox_folder() as state, asyncio.Runner() as runner:
        state.mkdir(mode=0o711)
        (state / "vault").mkdir(mode=0o700)
        open_secrets(state / "vault").__exit__()
        vault = runner.run(VaultClient.start(state / "vault"))
        driver = LocalDriver(state / "sandboxes")
        try:
            yield npm, runner, driver, vault, state
        finally:
            runner.run(driver.close())
            runner.run(vault.stop())
            npm.close()


async def nowhere(listeners: list[Listener]) -> None:
    """No way out."""


async def output(sandbox: Sandbox, script: str) -> str:
    process = await sandbox.exec(["/bin/sh", "-c", script])
    found = b""
    while data := await process.read():
        found += data
    await process.wait()
    return found.decode()


def test_an_environment_is_built_once_and_read_only() -> None:
    with built() as (npm, runner, driver, vault, state):
        registry = Registry(npm.url, addresses={"127.0.0.1": ("127.0.0.1/32",)})

        async def test() -> None:
            mount = await Builder(driver, vault, {"npm": registry}).ensure(Packages(npm=("greeter",)))
            assert mount == Mount(Packages(npm=("greeter",)).name, AT)
            asked = len(npm.asked)
            assert asked > 0
            again = Builder(driver, vault, {"npm": registry})  # another process would know no more than this one
            assert await again.ensure(Packages(npm=("greeter",))) == mount
            assert len(npm.asked) == asked, "it was there already"
            spec = SandboxSpec(id="user", workspace="user", mounts=(mount,), env=variables())
            sandbox = await driver.create(spec, nowhere)  # type: ignore[arg-type]
            assert await output(sandbox, "greeter") == "greetings\n"
            assert "ead-only" in await output(sandbox, f"touch {AT}/bin/x 2>&1; echo x > {AT}/bin/greeter 2>&1")
            hook = await output(sandbox, f"cat {AT}/lib/node_modules/greeter/hook.txt; ls ~")
            assert "ermission denied" in hook or "No such file" in hook
            assert str(state) not in hook
            assert "ran" not in hook.split()
            await sandbox.destroy(workspace=True)

        runner.run(test())


def test_a_failed_installation_says_why_and_leaves_nothing() -> None:
    with built() as (npm, runner, driver, vault, state):
        registry = Registry(npm.url, addresses={"127.0.0.1": ("127.0.0.1/32",)})
        builder = Builder(driver, vault, {"npm": registry})
        with pytest.raises(CannotBuild, match=r"(?s)npm install .* ended with 1.*no-such-thing"):
            runner.run(builder.ensure(Packages(npm=("no-such-thing",))))
        assert list((state / "sandboxes" / "environments").iterdir()) == []
        assert runner.run(vault.sessions()) == []
        with pytest.raises(CannotBuild, match="nobody said where packages of pypi come from"):
            runner.run(builder.ensure(Packages(pypi=("anything",))))


def test_what_a_crash_left_half_built_is_built_again() -> None:
    with built() as (npm, runner, driver, vault, _):
        packages = Packages(npm=("greeter",))

        async def test() -> None:
            spec = SandboxSpec(id="half", workspace="half", mounts=(Mount(packages.name, AT, writable=True),))
            half = await driver.create(spec, nowhere)  # type: ignore[arg-type]
            await output(half, f"mkdir {AT}/bin; echo half > {AT}/bin/greeter")
            await half.destroy(workspace=True)
            registry = Registry(npm.url, addresses={"127.0.0.1": ("127.0.0.1/32",)})
            mount = await Builder(driver, vault, {"npm": registry}).ensure(packages)
            spec = SandboxSpec(id="user", workspace="user", mounts=(mount,), env=variables())
            sandbox = await driver.create(spec, nowhere)  # type: ignore[arg-type]
            assert await output(sandbox, "greeter") == "greetings\n"
            await sandbox.destroy(workspace=True)

        runner.run(test())


def test_two_that_share_a_folder_build_it_once() -> None:
    """Two processes: each has its own driver, and sees the other's half-built folder."""
    with built() as (npm, runner, driver, vault, state):
        registry = Registry(npm.url, addresses={"127.0.0.1": ("127.0.0.1/32",)})
        other = LocalDriver(state / "others")
        for each in (driver, other):
            each.state.open()
        (state / "others" / "environments").rmdir()
        (state / "others" / "environments").symlink_to(state / "sandboxes" / "environments")

        async def test() -> None:
            builders = [
                Builder(each, vault, {"npm": registry}, alone=alone_in(state / "locks")) for each in (driver, other)
            ]
            first, second = await asyncio.gather(*(each.ensure(Packages(npm=("greeter",))) for each in builders))
            assert first == second
            assert npm.asked.count("/greeter.tgz") == 1
            await other.close()

        runner.run(test())
