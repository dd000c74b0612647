"""`penstock run`: a program in a sandbox that holds only stubs, the vault its only way out. No server is needed.

    penstock run command --secret GITHUB -- sh -c 'curl -H "Authorization: Bearer $GH_TOKEN" https://api.github.com/user'

gives the program's output and exit status (127: there is no such program, 126: it cannot be executed, 128 + N: signal N
ended it). Variables of secrets hold stubs: quote them for the shell inside, as above. `--workspace DIR` lets it work on
a copy of DIR, and copies back what it changed; `--repo URL` on a clone, which `--patch FILE` tells the changes of.

    penstock run loop --model demo "hello"

gives an agent the prompt, and shows what it does. Models are reached through a gateway that is started with the keys of
this environment. Exit status: 0 the agent is done, 1 it failed, 3 a limit stopped it, 130 it was interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from penstock.agents.errors import AgentsError
from penstock.agents.local_runs import Kept, LocalRuns
from penstock.agents.sandboxes.driver import CannotExecute, Exit, NoSuchProgram, Sandbox
from penstock.agents.setting_up import SetupFailed
from penstock.agents.single_run import Job, SingleRun
from penstock.cli import CommandError, agent_arguments, drivers
from penstock.cli.cloning import MARK, clone_commands, clone_failed, clone_rules, keep_patch
from penstock.cli.extras import need_agents
from penstock.cli.inputs import gathered, pem_file, pinned, refused
from penstock.cli.places import runs_directory, vault_directory
from penstock.cli.terminal import OnSignal, attended, signals_to
from penstock.vault.api import Event, Refusal, VaultClient, VaultGone

if TYPE_CHECKING:
    from penstock.agents.folders import Folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock run`."""
    parser.add_argument("harness", help="what runs: `command`, or an agent: `loop`, `claude-code`, `codex` ...")
    parser.add_argument("--secret", action="append", default=[], metavar="NAME", help="a secret it may use; repeatable")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="'METHOD scheme://host/path'",
        help="a way out without a secret; repeatable",
    )
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="a plain variable; repeatable")
    parser.add_argument("--workspace", type=Path, metavar="DIR", help="a folder to work on: copied in, and back")
    parser.add_argument(
        "--pin",
        action="append",
        default=[],
        metavar="HOST=ADDRESS[:PORT]",
        help="where HOST is found, instead of asking the resolver; may be a private address",
    )
    parser.add_argument(
        "--address", action="append", default=[], metavar="HOST=CIDR", help="a private network HOST may be found in"
    )
    parser.add_argument(
        "--upstream-ca", type=Path, metavar="FILE", help="PEM of an authority that vouches for the servers of this run"
    )
    parser.add_argument(
        "--isolation", choices=("full", "weak"), default="full", help="`weak` on a host that cannot filter system calls"
    )
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="folder of secrets and sandboxes")
    parser.add_argument("--quiet", "-q", action="store_true", help="say nothing but what the program says")
    drivers.add_arguments(parser)
    parser.add_argument("text", nargs="*", metavar="PROGRAM|PROMPT", help="after --: the program and its arguments")
    agent_arguments.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run it; its exit status."""
    if arguments.harness != "command":
        return _run_agent(arguments)
    if not arguments.text:
        raise CommandError("name a program: penstock run command -- PROGRAM ARGS")
    if unknown := agent_arguments.only_of_agents(arguments):
        raise CommandError(f"{unknown} is of agents: `penstock run command` starts a program, and no agent")
    need_agents()
    try:
        return asyncio.run(_Run(arguments).run())
    except Refusal as refusal:
        raise CommandError(refused(refusal)) from None
    except AgentsError as error:
        raise CommandError(str(error)) from None


def _run_agent(arguments: argparse.Namespace) -> int:
    need_agents()
    from penstock.agents.harnesses.registry import HARNESSES  # it takes time, and `penstock run command` needs none

    if arguments.harness not in HARNESSES:
        raise CommandError(f"there is no agent {arguments.harness!r}: there are {', '.join(sorted(HARNESSES))}")
    from penstock.cli import run_agent

    return run_agent.run(arguments, HARNESSES)


class _Run:
    """One run from its arguments to its exit status."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._id = f"run-{secrets.token_hex(8)}"
        self._job = _job(arguments)
        self._folder = work_folder(arguments)
        self._say = _Voice(arguments.quiet)
        self._signals = _Signals()

    async def run(self) -> int:
        """Do it all. A signal before the program runs ends the run; while it runs, the signal is the program's."""
        self._signals.begin(asyncio.current_task())
        with signals_to(self._signals.take):
            try:
                return await self._run()
            except asyncio.CancelledError:
                if not self._signals.ended_by:
                    raise
                return 128 + self._signals.ended_by

    async def _run(self) -> int:
        runs = LocalRuns(runs_directory(self._arguments.state_dir))
        starting = asyncio.ensure_future(
            VaultClient.start(vault_directory(self._arguments.state_dir), on_event=self._say.event)
        )
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(_stop, starting)
            back = self._folder is not None and self._arguments.workspace is not None
            folder = self._folder.path if self._folder and back else None
            driver, kept = await runs.begin(self._id, folder, drivers.chosen(self._arguments))
            for each in kept:
                self._say.kept(each, "The process of an earlier run was killed.")
            single: SingleRun | None = None
            try:
                await driver.prepare()  # beside the start of the vault
                vault = await starting
                stack.callback(asyncio.ensure_future(self._watch(vault)).cancel)
                after = self._patch if self._arguments.patch is not None or self._arguments.repo else None
                job = await self._with_clone(vault)
                single = SingleRun(self._id, job, driver, vault, self._folder, back=back, after=after)
                status = await self._status(single)
            finally:
                left = await runs.finish(self._id, driver, keep=single is not None and single.unfinished)
                if left is not None:
                    self._say.kept(left, "Not everything could be brought back.")
        return status

    async def _status(self, single: SingleRun) -> int:
        try:
            ended = await single.run(self._attend)
        except SetupFailed as failed:
            raise CommandError(clone_failed(self._arguments.repo, failed.message, bool(self._job.secrets))) from None
        except CannotExecute as error:
            self._say.failed(str(error))
            return 127 if isinstance(error, NoSuchProgram) else 126
        self._say.brought(single)
        self._say.ended(ended)
        return ended.status

    async def _with_clone(self, vault: VaultClient) -> Job:
        """What to run, after a clone where one is asked for."""
        job, url = self._job, self._arguments.repo
        if not url:
            return job
        if self._folder is not None:
            return msgspec.structs.replace(job, setup=(MARK,))
        rules = clone_rules(url, await vault.hosts(job.secrets, ()))
        return msgspec.structs.replace(job, setup=clone_commands(url), rules=(*job.rules, *rules))

    async def _patch(self, sandbox: Sandbox) -> None:
        from penstock.agents.workspaces import patch_of  # most runs want none

        patch = b"".join([chunk async for chunk in patch_of(sandbox)])
        runs = runs_directory(self._arguments.state_dir)
        self._say.note(await asyncio.to_thread(keep_patch, patch, self._arguments.patch, runs, self._id))

    async def _attend(self, sandbox: Sandbox) -> Exit:
        for line in not_copied(self._folder):
            self._say.note(line)
        return await attended(sandbox, self._job.argv, self._signals.pass_to)

    async def _watch(self, vault: VaultClient) -> None:
        await vault.ended()
        self._say.failed("the vault has ended: nothing gets out of the sandbox any more")


class _Signals:
    """Who takes signals: at first the run, which they end; then the program; then nobody, for what is left is short."""

    def __init__(self) -> None:
        self.ended_by = 0
        self._run: asyncio.Task[object] | None = None
        self._take: OnSignal = self._end

    def begin(self, run: asyncio.Task[object] | None) -> None:
        """Say which task they end."""
        self._run = run

    def pass_to(self, take: OnSignal) -> None:
        """Have them go elsewhere from now on."""
        self._take = take

    def take(self, number: signal.Signals) -> None:
        """Take one."""
        self._take(number)

    def _end(self, number: signal.Signals) -> None:
        self.ended_by = number
        self._take = lambda number: None
        if self._run is not None:
            self._run.cancel()


class _Voice:
    """What is said beside the program's own output: on standard error, each refusal once."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._said: set[str] = set()

    def event(self, event: Event) -> None:
        """Tell what the vault refused, and why."""
        text = f"{event.detail} {event.proposal}".strip()
        if text not in self._said:
            self._said.add(text)
            self._say(f"{event.kind}: {text}")

    def kept(self, kept: Kept, why: str) -> None:
        """Tell where work is that was not brought back."""
        self.failed(f"{why} Its copy of {kept.folder} is in {kept.copy}: take what you need, then remove it.")

    def brought(self, single: SingleRun) -> None:
        """Tell what did not come back, and what to look at before it is used."""
        if single.brought is None:
            return
        for name, why in single.brought.left_out:
            self._say(f"left in the sandbox: {_shown(name)}: {why}")
        for name in single.brought.look_first:
            self._say(f"look at this before you use it: {_shown(name)}")

    def note(self, text: str) -> None:
        """Tell something, if it is any."""
        if text:
            self._say(text)

    def ended(self, ended: Exit) -> None:
        """Tell why, where the sandbox had a part in the end."""
        if ended.reason:
            self._say(f"ended by the sandbox: {ended.reason}")

    def failed(self, text: str) -> None:
        """Tell what must not go unheard."""
        print(f"penstock run: {text}", file=sys.stderr, flush=True)

    def _say(self, text: str) -> None:
        if not self._quiet:
            print(f"penstock: {text}", file=sys.stderr, flush=True)


def _shown(name: str) -> str:
    """A name that an untrusted program chose, so that it is one line and commands no terminal."""
    return name if name.isprintable() else repr(name)


async def _stop(starting: asyncio.Future[VaultClient]) -> None:
    """End the vault, whether it has begun to answer or not."""
    with contextlib.suppress(VaultGone):
        await (await starting).stop()


def _job(arguments: argparse.Namespace) -> Job:
    return Job(
        argv=tuple(arguments.text),
        secrets=tuple(dict.fromkeys(arguments.secret)),
        rules=tuple(arguments.allow),
        env=_variables(arguments.env),
        pins=dict(pinned(text) for text in arguments.pin),
        addresses={host: tuple(found) for host, found in gathered(arguments.address).items()},
        upstream_ca=pem_file(arguments.upstream_ca),
        isolation=arguments.isolation,
    )


def _variables(texts: list[str]) -> dict[str, str]:
    found = [text.partition("=") for text in texts]
    for name, sign, _ in found:
        if not sign or not name or "\0" in name:
            raise CommandError(f"--env {name!r}: write NAME=VALUE")
    return {name: value for name, _, value in found}


def work_folder(arguments: argparse.Namespace) -> Folder | None:
    """The folder that is copied in. Raises CommandError."""
    if arguments.workspace is not None and arguments.repo:
        raise CommandError("name --workspace (copied in, and back) or --repo (copied or cloned in), not both")
    if arguments.workspace is not None and not arguments.workspace.is_dir():
        raise CommandError(f"--workspace {arguments.workspace}: there is no such folder")
    path = arguments.workspace
    if arguments.repo and "://" not in arguments.repo and Path(arguments.repo).is_dir():
        path = Path(arguments.repo)
    if path is None:
        if arguments.repo:
            clone_rules(arguments.repo, ())  # so that a typing error is told before anything is begun
        return None
    from penstock.agents.folders import Folder  # archives take time to import, and most runs work on no folder

    return Folder(path)


MOST_TOLD = 20
"""Names of what was not copied in that are told one by one."""


def not_copied(folder: Folder | None) -> list[str]:
    """What to tell of a folder's files that are not in the sandbox, once it has been copied in. Pure."""
    left = folder.not_packed if folder is not None else []
    lines = [f"not copied in: {_shown(name)}: {why}" for name, why in left[:MOST_TOLD]]
    return [*lines, *([f"not copied in: {len(left) - MOST_TOLD} more"] if len(left) > MOST_TOLD else [])]
