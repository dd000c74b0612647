"""What every sandbox driver must do, as one class of tests: a driver's own tests inherit it and say how it is made.

Programs inside are those that every image has: a shell, coreutils. Nothing here looks at the host, but `host_sees`.
"""

import asyncio
import io
import os
import signal
import socket
import tarfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
import pytest

from penstock.agents.sandboxes.driver import (
    GIB,
    HOME,
    MIB,
    WORKSPACE,
    Attach,
    Busy,
    CannotExecute,
    Driver,
    Egress,
    Exit,
    File,
    Identity,
    InvalidSpec,
    Limits,
    Listener,
    NoSuchPath,
    NotRunning,
    Process,
    Sandbox,
    SandboxSpec,
    UnsafeArchive,
)
from penstock.agents.sandboxes.pool import Pool
from penstock.agents.sandboxes.trust import CA_FILE


async def alone(listeners: Sequence[Listener]) -> None:
    """Attach to nothing: the sandbox has no way out at all."""


async def drain(read: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
    found = b""
    while data := await read():
        found += data
    return found


async def finish(process: Process) -> tuple[int, bytes, bytes]:
    """The status, standard output, standard error of a program, once it has ended."""
    output, error = await asyncio.gather(drain(process.read), drain(process.read_error))
    return (await process.wait()).status, output, error


async def shell(sandbox: Sandbox, script: str, **more: Any) -> tuple[int, str, str]:
    status, output, error = await finish(await sandbox.exec(["/bin/sh", "-c", script], **more))
    return status, output.decode(), error.decode()


async def output_of(sandbox: Sandbox, script: str, **more: Any) -> str:
    status, output, error = await shell(sandbox, script, **more)
    assert status == 0, f"{script!r} ended with {status}: {output} {error}"
    return output


async def stream(data: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        for member, content in members:
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return file.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, link, mode
    return made


def specification(**fields: Any) -> SandboxSpec:
    small = Limits(memory=256 * MIB, processes=64, cpu=2000, disk=1 * GIB, temporary=32 * MIB)
    return msgspec.structs.replace(SandboxSpec(id="one", workspace="one", limits=small), **fields)


BAD_MEMBERS = {
    "absolute": [member("/etc/passwd")],
    "up": [member("../up")],
    "up within": [member("a/../../up")],
    "up at the end": [member("a/..", tarfile.DIRTYPE)],
    "symbolic link": [member("link", tarfile.SYMTYPE, "target")],
    "hard link": [member("file"), member("other", tarfile.LNKTYPE, "file")],
    "hard link out": [member("link", tarfile.LNKTYPE, "/etc/passwd")],
    "character device": [member("null", tarfile.CHRTYPE)],
    "block device": [member("disk", tarfile.BLKTYPE)],
    "pipe": [member("pipe", tarfile.FIFOTYPE)],
    "empty name": [member("")],
    "the folder as a file": [member("./")],
    "a file as a folder": [member("file"), member("file/below")],
}
LEADING_OUT = {
    "absolute": [member("link", tarfile.SYMTYPE, "/etc")],
    "up": [member("link", tarfile.SYMTYPE, "..")],
    "up within": [member("a/link", tarfile.SYMTYPE, "b/../../../x")],
    "by another link": [member("p/q/up", tarfile.SYMTYPE, "../.."), member("out", tarfile.SYMTYPE, "p/q/up/../x")],
    "write through": [member("d", tarfile.DIRTYPE), member("l", tarfile.SYMTYPE, "d"), member("l/file")],
}


class DriverContract:
    """Inherit it; `new_driver` makes a driver over the same state as the one before in the same test."""

    def new_driver(self) -> AbstractAsyncContextManager[Driver]:
        raise NotImplementedError

    def host_sees(self) -> set[str]:
        """Whatever of sandboxes the host can see (processes, groups, files): empty when all are gone."""
        raise NotImplementedError

    @asynccontextmanager
    async def sandbox(self, attach: Attach = alone, **fields: Any) -> AsyncIterator[Sandbox]:
        async with self.new_driver() as driver:
            made = await driver.create(specification(**fields), attach)
            try:
                yield made
            finally:
                await made.destroy()

    def run(self, test: Callable[[Sandbox], Coroutine[Any, Any, None]], **fields: Any) -> None:
        async def whole() -> None:
            async with self.sandbox(**fields) as sandbox:
                await test(sandbox)

        asyncio.run(whole())
        assert self.host_sees() == set()

    # -- programs -----------------------------------------------------------------------------------------------------

    def test_a_program_gives_output_errors_and_a_code(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            assert await shell(sandbox, "echo out; echo err >&2; exit 7") == (7, "out\n", "err\n")

        self.run(test)

    def test_a_program_that_a_signal_kills(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            process = await sandbox.exec(["/bin/sh", "-c", "kill -TERM $$"])
            assert await process.wait() == Exit(None, signal.SIGTERM)

        self.run(test)

    def test_what_does_not_exist_is_said(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            with pytest.raises(CannotExecute, match="no-such-program"):
                await sandbox.exec(["no-such-program"])
            with pytest.raises(CannotExecute, match="/no/folder"):
                await sandbox.exec(["true"], cwd="/no/folder")
            with pytest.raises(CannotExecute, match="NUL"):
                await sandbox.exec(["true", "a\0b"])
            with pytest.raises(CannotExecute):
                await sandbox.exec([])

        self.run(test)

    def test_variables_folder_and_user(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            shown = await output_of(
                sandbox, 'echo "$A $B $HOME"; pwd; id -un; id -u; id -G', env={"B": "exec"}, cwd="/tmp"
            )
            assert shown == f"spec exec {HOME}\n/tmp\nagent\n1000\n1000\n"

        self.run(test, env={"A": "spec", "B": "spec"})

    def test_input_flows_and_ends(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            process = await sandbox.exec(["cat"], stdin=True)
            for part in (b"one\n", b"two\n"):
                await process.write(part)
                assert await process.read() == part  # as soon as it is there, before the end
            big = os.urandom(3 * MIB)
            writing = asyncio.ensure_future(process.write(big))
            found = b""
            while len(found) < len(big):
                found += await process.read()
            await writing
            process.close_input()
            assert (found == big, await process.wait()) == (True, Exit(0))

        self.run(test)

    def test_without_input_it_is_empty(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            assert await finish(await sandbox.exec(["cat"])) == (0, b"", b"")

        self.run(test)

    def test_streams_can_be_opened_by_name(self) -> None:
        """Shell scripts write to /dev/stderr; the stream is another user's unless somebody thought of it."""

        async def test(sandbox: Sandbox) -> None:
            assert await shell(sandbox, "echo a > /dev/stderr; echo b > /dev/stdout") == (0, "b\n", "a\n")

        self.run(test)

    def test_kill_reaches_the_whole_group(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            process = await sandbox.exec(["/bin/sh", "-c", "sleep 1000 & echo started; wait"])
            assert await process.read() == b"started\n"
            await process.kill()
            assert (await process.wait()).status == 128 + 9
            assert await process.read() == b""  # nobody holds the stream any more
            await process.kill()

        self.run(test)

    def test_signals_are_as_at_first(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            masks = await output_of(sandbox, "grep -E '^Sig(Blk|Ign)' /proc/self/status")
            assert {int(line.split()[1], 16) for line in masks.splitlines()} == {0}, masks

        self.run(test)

    def test_no_descriptor_comes_along(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            assert (await output_of(sandbox, "ls /proc/self/fd")).split() == ["0", "1", "2", "3"]  # 3 is ls's own

        self.run(test)

    def test_many_at_once(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            found = await asyncio.gather(*(output_of(sandbox, f"sleep 0.1; echo {number}") for number in range(20)))
            assert found == [f"{number}\n" for number in range(20)]

        self.run(test)

    # -- terminals ----------------------------------------------------------------------------------------------------

    def test_a_terminal(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            process = await sandbox.exec(
                ["/bin/sh", "-c", "tty; stty size; echo e > /dev/stderr; read x; echo got $x"], tty=(30, 90)
            )
            shown = b""
            while b"e\r\n" not in shown:
                shown += await process.read()
            await process.write(b"typed\n")
            shown += await drain(process.read)
            lines = shown.decode().split("\r\n")
            assert lines[0].startswith("/dev/pts/") and lines[1:3] == ["30 90", "e"] and "got typed" in lines
            assert await process.read_error() == b""
            assert await process.wait() == Exit(0)

        self.run(test)

    def test_a_terminal_changes_its_size_and_interrupts(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            script = "trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.05; done"
            process = await sandbox.exec(["/bin/sh", "-c", script], tty=(24, 80))
            assert (await process.read()).strip() == b"ready"
            process.resize(50, 132)
            assert b"50 132" in await drain(process.read)
            assert (await process.wait()).code == 3
            cat = await sandbox.exec(["cat"], tty=(24, 80))
            await cat.write(b"\x03")
            assert await cat.wait() == Exit(None, signal.SIGINT)

        self.run(test)

    def test_no_terminal_has_no_size(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            with pytest.raises(ValueError, match="no terminal"):
                (await sandbox.exec(["true"])).resize(1, 1)

        self.run(test)

    # -- files --------------------------------------------------------------------------------------------------------

    def test_placed_files(self) -> None:
        files = {
            "/etc/ssl/certs/ca-certificates.crt": File(b"authority"),
            "/etc/hosts": File(b"127.0.0.1 mine\n"),
            "/opt/tool": File(b"#!/bin/sh\necho runs\n", 0o755),
        }

        async def test(sandbox: Sandbox) -> None:
            assert await output_of(sandbox, "cat /etc/ssl/certs/ca-certificates.crt /etc/hosts; /opt/tool") == (
                "authority127.0.0.1 mine\nruns\n"
            )
            assert (await shell(sandbox, "echo x >> /etc/hosts; rm -f /etc/hosts; chmod 777 /opt/tool"))[0] != 0
            assert await output_of(sandbox, "cat /etc/hosts") == "127.0.0.1 mine\n"

        self.run(test, files=files)

    @pytest.mark.parametrize(
        "path", ["/usr/bin/sh", "/etc/../usr/x", "relative", "/proc/sys/x", "/", "/dev/null", "/etc/"]
    )
    def test_a_file_cannot_cover_the_system(self, path: str) -> None:
        async def test() -> None:
            async with self.new_driver() as driver:
                with pytest.raises(InvalidSpec):
                    await driver.create(specification(files={path: File(b"")}), alone)

        asyncio.run(test())

    @pytest.mark.parametrize("at", [WORKSPACE, f"{WORKSPACE}/new/folder", HOME])
    def test_files_go_in_and_come_out(self, at: str) -> None:
        random = os.urandom(2 * MIB)

        async def test(sandbox: Sandbox) -> None:
            data = archive((member("bin/run", mode=0o4755), b"#!/bin/sh\necho ok\n"), (member("./data"), random))
            await sandbox.put(stream(data), at)
            assert await output_of(sandbox, f"{at}/bin/run; wc -c < {at}/data; stat -c %a {at}/bin/run") == (
                f"ok\n{len(random)}\n755\n"
            )
            found = b"".join([part async for part in sandbox.get(f"{at}/data")])
            with tarfile.open(fileobj=io.BytesIO(found)) as made:
                file = made.extractfile("data")
                assert file is not None and file.read() == random

        self.run(test)

    def test_an_archive_replaces_files(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            for content in (b"first", b"second"):
                await sandbox.put(stream(archive((member("file"), content))))
            assert await output_of(sandbox, "cat file") == "second"

        self.run(test)

    @pytest.mark.parametrize("name", BAD_MEMBERS)
    def test_an_archive_that_could_reach_out_is_refused(self, name: str) -> None:
        async def test(sandbox: Sandbox) -> None:
            data = archive((member("good"), b"1"), *((each, b"") for each in BAD_MEMBERS[name]))
            with pytest.raises(UnsafeArchive):
                await sandbox.put(stream(data))

        self.run(test)

    @pytest.mark.parametrize("name", LEADING_OUT)
    def test_links_that_lead_out_are_refused(self, name: str) -> None:
        async def test(sandbox: Sandbox) -> None:
            with pytest.raises(UnsafeArchive):
                await sandbox.put(stream(archive(*((each, b"") for each in LEADING_OUT[name]))), links=True)

        self.run(test)

    def test_links_that_stay_are_taken_when_wanted(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            data = archive((member("a/file"), b"content"), (member("b/link", tarfile.SYMTYPE, "../a/file"), b""))
            await sandbox.put(stream(data), links=True)
            assert await output_of(sandbox, "cat b/link") == "content"

        self.run(test)

    @pytest.mark.parametrize("data", [b"no archive at all" * 100, archive((member("cut"), b"x" * 5000))[:2000]])
    def test_a_broken_archive_is_refused(self, data: bytes) -> None:
        async def test(sandbox: Sandbox) -> None:
            with pytest.raises(UnsafeArchive):
                await sandbox.put(stream(data))

        self.run(test)

    def test_nothing_is_written_through_a_link_of_the_agent(self) -> None:
        """The agent lays links; what it points at is the host's or a placed file."""

        async def test(sandbox: Sandbox) -> None:
            await output_of(sandbox, "ln -s /tmp out; ln -s /etc/passwd file; mkfifo pipe; mkdir dir")
            with pytest.raises(UnsafeArchive):
                await sandbox.put(stream(archive((member("out/x"), b"x"))))
            with pytest.raises(UnsafeArchive):
                await sandbox.put(stream(archive((member("x"), b"x"))), f"{WORKSPACE}/out")
            with pytest.raises(UnsafeArchive):
                await sandbox.put(stream(archive((member("dir"), b"x"))))
            await sandbox.put(stream(archive((member("file"), b"mine"), (member("pipe"), b"mine"))))
            assert await output_of(sandbox, "test ! -e /tmp/x && test ! -L file && cat file pipe") == "minemine"

        self.run(test)

    @pytest.mark.parametrize("path", ["/etc/passwd", "/", "/tmp", f"{WORKSPACE}/../etc", f"{WORKSPACE}x", "relative"])
    def test_only_the_workspace_is_reached(self, path: str) -> None:
        async def test(sandbox: Sandbox) -> None:
            with pytest.raises((NoSuchPath, UnsafeArchive)):
                await sandbox.put(stream(archive()), path)
            with pytest.raises((NoSuchPath, UnsafeArchive)):
                _ = [part async for part in sandbox.get(path)]

        self.run(test)

    def test_what_leads_out_stays_out_of_an_export(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            await output_of(
                sandbox, "ln -s /etc/passwd abs; ln -s ../../etc up; ln -s f ok; echo 1 > f; mkfifo p; mkdir -m 0 d"
            )
            export = sandbox.get()
            data = b"".join([part async for part in export])
            with tarfile.open(fileobj=io.BytesIO(data)) as made:
                names = {each.name for each in made.getmembers()}
            assert {"f", "ok"} <= names and not {"abs", "up", "p"} & names
            assert {"abs", "up", "p"} <= {name for name, _ in export.left_out}
            with pytest.raises(NoSuchPath):
                _ = [part async for part in sandbox.get(f"{WORKSPACE}/up/passwd")]
            with pytest.raises(NoSuchPath):
                _ = [part async for part in sandbox.get(f"{WORKSPACE}/nothing")]

        self.run(test)

    # -- life ---------------------------------------------------------------------------------------------------------

    def test_a_workspace_outlives_its_sandbox(self) -> None:
        async def test() -> None:
            async with self.sandbox() as sandbox:
                await output_of(sandbox, "echo work > file; echo home > ~/file")
            async with self.sandbox() as sandbox:
                assert await output_of(sandbox, "cat file ~/file") == "work\nhome\n"
                await sandbox.destroy(workspace=True)
            async with self.sandbox() as sandbox:
                assert await output_of(sandbox, "ls -A . ~") == f".:\n\n{HOME}:\n"

        asyncio.run(test())

    def test_a_workspace_has_one_sandbox(self) -> None:
        async def test() -> None:
            async with self.new_driver() as driver:
                first = await driver.create(specification(), alone)
                with pytest.raises(Busy):
                    await driver.create(specification(id="two"), alone)
                with pytest.raises(Busy):
                    await driver.forget(workspace="one")
                assert await output_of(first, "echo lives") == "lives\n"
                await first.destroy()

        asyncio.run(test())

    def test_a_workspace_has_one_sandbox_though_two_are_asked_for_at_once(self) -> None:
        async def test() -> None:
            async with self.new_driver() as driver:
                asked = (driver.create(specification(id=name), alone) for name in ("one", "two"))
                made = await asyncio.gather(*asked, return_exceptions=True)
                assert [type(one) for one in made if isinstance(one, BaseException)] == [Busy]
                for one in made:
                    if not isinstance(one, BaseException):
                        await one.destroy()

        asyncio.run(test())
        assert self.host_sees() == set()

    def test_suspend_and_resume(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            process = await sandbox.exec(["/bin/sh", "-c", "while :; do echo x >> ticks; sleep 0.01; done"])
            while "ticks" not in await output_of(sandbox, "ls"):
                pass
            await sandbox.suspend()
            await sandbox.suspend()
            with pytest.raises(NotRunning, match="resume"):
                await sandbox.exec(["true"])
            size = await self._size(sandbox, "ticks")
            await asyncio.sleep(0.2)
            assert await self._size(sandbox, "ticks") == size
            await sandbox.resume()
            while await self._size(sandbox, "ticks") == size:
                pass
            await process.kill()

        self.run(test)

    async def _size(self, sandbox: Sandbox, name: str) -> int:
        data = b"".join([part async for part in sandbox.get(f"{WORKSPACE}/{name}")])
        with tarfile.open(fileobj=io.BytesIO(data)) as made:
            return made.getmembers()[0].size

    def test_a_suspended_sandbox_can_be_destroyed(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            await sandbox.exec(["sleep", "1000"])
            await sandbox.suspend()

        self.run(test)

    def test_stop_ends_all_programs_and_keeps_the_sandbox(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            process = await sandbox.exec(["/bin/sh", "-c", "echo kept > file; setsid sleep 1000 & sleep 1000"])
            while (await sandbox.stats()).processes < 3:
                pass
            await sandbox.stop()
            assert await process.wait() == Exit(None, signal.SIGKILL, "stopped")
            assert (await sandbox.stats()).processes == 0
            later = await sandbox.exec(["/bin/sh", "-c", "kill -9 $$"])
            assert await later.wait() == Exit(None, signal.SIGKILL)
            assert await output_of(sandbox, "cat file") == "kept\n"

        self.run(test)

    def test_destroy_reaches_what_went_to_the_background(self) -> None:
        async def test() -> None:
            async with self.sandbox() as sandbox:
                script = (
                    "(setsid sh -c 'trap \"\" TERM HUP; while :; do echo x >> ticks; sleep 0.01; done' &) ; echo done"
                )
                await output_of(sandbox, script.replace("sleep 0.01; done'", "sleep 0.01; done' > /dev/null 2>&1"))
                trouble = asyncio.ensure_future(sandbox.wait())
                await sandbox.destroy()
                assert (await trouble).reason == "destroyed"
                await sandbox.destroy()
                with pytest.raises(NotRunning, match="gone"):
                    await sandbox.exec(["true"])

        asyncio.run(test())
        assert self.host_sees() == set()

    def test_orphans_are_reaped(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            await output_of(sandbox, "for i in 1 2 3 4 5 6 7 8; do (true &) ; done; sleep 0.1")
            assert "Z" not in await output_of(sandbox, "cat /proc/[0-9]*/stat | cut -d' ' -f3")

        self.run(test)

    def test_nobody_inside_can_end_the_sandbox(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            await shell(sandbox, "kill -9 1; kill -TERM 1; kill -9 -1")
            assert await output_of(sandbox, "echo lives") == "lives\n"

        self.run(test)

    def test_snapshot_and_restore(self) -> None:
        async def test() -> None:
            async with self.new_driver() as driver:
                one = await driver.create(specification(), alone)
                await output_of(
                    one, "mkdir -p d/e; echo first > d/e/f; chmod 750 d/e/f; ln -s d/e/f l; echo h > ~/h; mkfifo p"
                )
                await one.snapshot("kept")
                await output_of(one, "echo second > d/e/f")
                with pytest.raises(InvalidSpec):
                    await one.snapshot("kept")
                await driver.restore("kept", "two")
                two = await driver.create(specification(id="two", workspace="two"), alone)
                assert await output_of(two, "cat l ~/h; stat -c '%a %U' d/e/f") == "first\nh\n750 agent\n"
                await output_of(two, "echo third > d/e/f")
                assert await output_of(one, "cat l") == "second\n"
                with pytest.raises(InvalidSpec):
                    await driver.restore("kept", "two")
                with pytest.raises(NoSuchPath):
                    await driver.restore("no", "three")
                await one.destroy(workspace=True)
                await two.destroy(workspace=True)
                await driver.forget(snapshot="kept")
                with pytest.raises(NoSuchPath):
                    await driver.restore("kept", "three")

        asyncio.run(test())
        assert self.host_sees() == set()

    # -- restarts -----------------------------------------------------------------------------------------------------

    def test_a_sandbox_is_adopted_after_a_restart(self) -> None:
        async def test() -> None:
            async with self.new_driver() as driver:
                made = await driver.create(specification(env={"A": "kept"}), alone)
                script = "echo $$ > pid; exec sleep 1000"
                await made.exec(["/bin/sh", "-c", script])
                while "pid" not in await output_of(made, "ls"):
                    pass
                handle = made.handle
                assert await driver.adopt(handle) is made
            async with self.new_driver() as driver:
                assert list(await driver.living()) == [handle]
                assert list(await driver.sweep(keep=[handle])) == []
                found = await driver.adopt(handle)
                assert found is not None and found.id == "one" and found.handle == handle
                assert await output_of(found, "kill -0 $(cat pid) && echo $A") == "kept\n"
                await found.destroy()
                assert await driver.adopt(handle) is None

        asyncio.run(test())
        assert self.host_sees() == set()

    @pytest.mark.parametrize(
        "handle",
        ["", "x", "{}", '{"driver":"other"}', '{"driver":"local","token":"../x","pid":1,"started":1,"boot":"b"}'],
    )
    def test_a_handle_that_is_none(self, handle: str) -> None:
        async def test() -> None:
            async with self.new_driver() as driver:
                assert await driver.adopt(handle) is None

        asyncio.run(test())

    def test_sweep_removes_what_nobody_keeps(self) -> None:
        async def test() -> None:
            async with self.new_driver() as driver:
                kept = (await driver.create(specification(), alone)).handle
                gone = (await driver.create(specification(id="two", workspace="two"), alone)).handle
                await driver.warm(specification())
            async with self.new_driver() as driver:
                assert len(await driver.sweep(keep=[kept])) >= 2
                assert list(await driver.living()) == [kept]
                assert await driver.adopt(gone) is None
                assert list(await driver.sweep(keep=[])) != []
                assert list(await driver.living()) == []

        asyncio.run(test())
        assert self.host_sees() == set()

    def test_a_failed_attach_leaves_nothing(self) -> None:
        async def failing(listeners: Sequence[Listener]) -> Identity:
            raise ConnectionError("the vault is not there")

        async def test() -> None:
            async with self.new_driver() as driver:
                with pytest.raises(ConnectionError, match="vault"):
                    await driver.create(specification(), failing)
                assert list(await driver.living()) == []
                assert self.host_sees() == set()

        asyncio.run(test())

    # -- the way out --------------------------------------------------------------------------------------------------

    def test_the_vault_is_attached_before_anything_runs_and_names_the_sandbox(self) -> None:
        async def attach(listeners: Sequence[Listener]) -> Identity:
            assert listeners[0].kind == "proxy"
            return Identity(env={"STUB": "fake-stub"}, files={CA_FILE: File(b"certificate")})

        async def test(sandbox: Sandbox) -> None:
            assert await output_of(sandbox, f"echo $STUB; cat {CA_FILE}") == "fake-stub\ncertificate"

        self.run(test, attach=attach)

    def test_connections_end_in_the_listeners(self) -> None:
        async def test() -> None:
            held: dict[tuple[str, int], socket.socket] = {}

            async def attach(listeners: Sequence[Listener]) -> None:
                held.update({(one.kind, one.port): one.socket.dup() for one in listeners})

            async with self.sandbox(attach) as sandbox:
                script = "exec 3<>/dev/tcp/{0}/{1} && echo open && cat <&3"
                for address, port, kind, own in (
                    ("127.0.0.1", 3128, "proxy", 3128),
                    ("203.0.113.7", 443, "transparent", 443),
                    ("169.254.169.254", 80, "transparent", 80),
                ):
                    process = await sandbox.exec(["bash", "-c", script.format(address, port)])
                    accepted, _ = await asyncio.to_thread(held[(kind, own)].accept)
                    assert accepted.getsockname() == (address, port)
                    accepted.sendall(b"hello")
                    accepted.close()
                    assert (await finish(process))[:2] == (0, b"open\nhello")
                for sock in held.values():
                    sock.close()
                for address in (
                    "127.0.0.1/3128",
                    "203.0.113.7/443",
                    "203.0.113.7/8443",
                    "10.0.0.1/22",
                    "::1/443",
                    "2001:db8::1/443",
                ):
                    status, _, error = await shell(sandbox, f"timeout 5 bash -c 'exec 3<>/dev/tcp/{address}'")
                    assert status == 1 and ("refused" in error or "unreachable" in error), (address, status, error)

        asyncio.run(test())

    def test_without_transparency_only_the_proxy_is_there(self) -> None:
        async def test() -> None:
            kinds: list[str] = []

            async def attach(listeners: Sequence[Listener]) -> None:
                kinds.extend(one.kind for one in listeners)

            async with self.sandbox(attach, egress=Egress(transparent=False)) as sandbox:
                assert kinds == ["proxy"]
                _, _, error = await shell(sandbox, "bash -c 'exec 3<>/dev/tcp/203.0.113.7/443'")
                assert "unreachable" in error

        asyncio.run(test())

    def test_a_new_vault_can_be_attached(self) -> None:
        async def test() -> None:
            async with self.sandbox() as sandbox:
                held: list[Listener] = []

                async def attach(listeners: Sequence[Listener]) -> Identity:
                    held.extend(msgspec.structs.replace(one, socket=one.socket.dup()) for one in listeners)
                    return Identity(env={"NEW": "stub"}, files={CA_FILE: File(b"second")})

                await sandbox.reattach(attach)
                process = await sandbox.exec(
                    ["bash", "-c", f"echo $NEW; cat {CA_FILE}; exec 3<>/dev/tcp/203.0.113.9/443 && cat <&3"]
                )
                listener = next(one.socket for one in held if one.port == 443)
                accepted, _ = await asyncio.to_thread(listener.accept)
                accepted.sendall(b" through")
                accepted.close()
                assert (await finish(process))[1] == b"stub\nsecond through"
                for one in held:
                    one.socket.close()

        asyncio.run(test())

    # -- bad days -----------------------------------------------------------------------------------------------------

    def test_out_of_memory(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            process = await sandbox.exec(["/bin/sh", "-c", "exec tail /dev/zero"])
            ended = await process.wait()
            assert (ended.status, ended.reason) == (128 + 9, "out_of_memory")
            assert await output_of(sandbox, "echo lives") == "lives\n"

        self.run(test, limits=Limits(memory=64 * MIB))

    def test_too_many_processes(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            script = "i=0; while [ $i -lt 40 ]; do sleep 1000 > /dev/null 2>&1 & i=$((i+1)); done; wait"
            process = await sandbox.exec(["/bin/sh", "-c", script])
            _, _, error = await finish(process)
            assert b"fork" in error
            assert (await sandbox.stats()).processes <= 16
            await sandbox.stop()
            assert await output_of(sandbox, "echo lives") == "lives\n"

        self.run(test, limits=Limits(processes=16))

    def test_a_file_larger_than_the_disk(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            process = await sandbox.exec(["dd", "if=/dev/zero", "of=file", "bs=1M", "count=20"])
            assert await process.wait() == Exit(None, signal.SIGXFSZ, "disk_quota")

        self.run(test, limits=Limits(disk=8 * MIB))

    def test_temporary_files_have_a_limit(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            _, _, error = await shell(sandbox, "dd if=/dev/zero of=/tmp/file bs=1M count=20")
            assert "No space left" in error

        self.run(test, limits=Limits(temporary=8 * MIB))

    def test_stats(self) -> None:
        async def test(sandbox: Sandbox) -> None:
            process = await sandbox.exec(
                ["/bin/sh", "-c", "head -c 3000000 /dev/zero > file; sync; echo done; sleep 1000"]
            )
            assert await process.read() == b"done\n"
            stats = await sandbox.stats()
            assert stats.disk >= 3_000_000 and stats.processes >= 1 and stats.cpu >= 0 and stats.memory > 0
            await process.kill()

        self.run(test)

    # -- the pool -----------------------------------------------------------------------------------------------------

    def test_a_warm_sandbox_gets_its_identity_when_it_is_claimed(self) -> None:
        async def attach(listeners: Sequence[Listener]) -> Identity:
            assert len(listeners) > 1
            return Identity(env={"STUB": "late"}, files={CA_FILE: File(b"late certificate")})

        async def test() -> None:
            async with self.new_driver() as driver:
                pool = Pool(driver, specification(), 1)
                pool.start()
                await pool.full()
                spec = specification(
                    id="claimed", workspace="claimed", env={"A": "b"}, files={"/etc/hosts": File(b"late hosts\n")}
                )
                sandbox = await pool.claim(spec, attach)
                assert await output_of(sandbox, f"echo $STUB $A; cat {CA_FILE} /etc/hosts; echo w > w") == (
                    "late b\nlate certificatelate hosts\n"
                )
                await pool.full()
                await pool.close()
                assert pool.ready == 0
                handle = sandbox.handle
            async with self.new_driver() as driver:
                found = await driver.adopt(handle)
                assert found is not None and found.id == "claimed"
                assert await output_of(found, "cat w; echo $STUB") == "w\nlate\n"
                await found.destroy()
                again = await driver.create(spec, alone)
                assert await output_of(again, "cat w") == "w\n"
                await again.destroy()

        asyncio.run(test())
        assert self.host_sees() == set()

    def test_what_does_not_fit_is_made_anew(self) -> None:
        async def test() -> None:
            async with self.new_driver() as driver:
                pool = Pool(driver, specification(), 1)
                pool.start()
                await pool.full()
                made = await pool.claim(specification(egress=Egress(transparent=False)), alone)
                assert pool.ready == 1
                await made.destroy()
                kept = await pool.claim(specification(), alone)  # the workspace is there already
                assert pool.ready == 1
                await kept.destroy()
                await pool.close()

        asyncio.run(test())
        assert self.host_sees() == set()

    def test_check_finds_that_this_host_can(self) -> None:
        async def test() -> None:
            async with self.new_driver() as driver:
                report = await driver.check()
                assert report.isolation == "full", report
                assert all(finding.fix for finding in report.findings if not finding.works)

        asyncio.run(test())
        assert self.host_sees() == set()
