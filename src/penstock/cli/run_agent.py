"""`penstock run HARNESS "prompt"`: one session of an agent on this machine, with no server started before.

    penstock run loop --model demo "hello"
    penstock run claude-code --model anthropic/claude-sonnet-4-5 --repo https://github.com/OWNER/NAME "fix the tests"

It starts a gateway with the providers' keys of this environment (or uses the one that PENSTOCK_GATEWAY_URL names), a
vault and a sandbox, shows what the agent does, and leaves nothing behind but the folder that it was given.

The agent's words go to standard output, all else to standard error. Exit status: 0 the agent is done, 1 it failed,
3 a limit (or going in circles) stopped it, 130 it was interrupted. ^C ends the turn, a second ^C everything.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from penstock.agents.bring_up import Surroundings
from penstock.agents.environments.building import alone_in
from penstock.agents.environments.packages import Manager, Registry
from penstock.agents.errors import AgentsError
from penstock.agents.events import ApprovalRequested, Artifact, Error, SessionEvent, Status, TurnEnd
from penstock.agents.folders import Brought
from penstock.agents.harnesses.contract import Gateway as NoGateway
from penstock.agents.harnesses.contract import Harness, Turn
from penstock.agents.installing import Installing, is_here
from penstock.agents.keys import GatewayKeys
from penstock.agents.local_runs import LocalRuns
from penstock.agents.machine import Reason, State
from penstock.agents.owners import LOCAL
from penstock.agents.platform import Places, Platform, opened
from penstock.agents.requests import DecideApproval, NewSession
from penstock.agents.sandboxes.driver import NotRunning
from penstock.agents.sandboxes.local import LocalDriver
from penstock.agents.setting_up import SetupFailed
from penstock.agents.types import AgentSpec, EnvironmentSpec, Limits, Principal, Session
from penstock.cli import CommandError, drivers
from penstock.cli.cloning import MARK, clone_commands, clone_failed, clone_rules, keep_patch
from penstock.cli.handed_out import newest, place_of
from penstock.cli.inputs import gathered, pair, pem_file, refused
from penstock.cli.own_gateway import Gateway, check_has_models, gateway
from penstock.cli.places import environments_directory, runs_directory, vault_directory
from penstock.cli.registries import registries
from penstock.cli.run import not_copied, work_folder
from penstock.cli.run_terminal import at_terminal, has_terminal
from penstock.cli.shown_events import Shown, cost_of, line_of
from penstock.vault.api import Refusal, VaultGone

SCOPES = frozenset(
    {
        *("agents:write", "agents:read", "environments:write", "environments:read"),
        *("sessions:write", "sessions:read", "approvals:read", "approvals:decide"),
    }
)
NO_GATEWAY = NoGateway("", "")
LIMIT_STATUS = 3
_LIMITS = frozenset(
    {
        *(Reason.WALL_LIMIT, Reason.TOKEN_LIMIT, Reason.MONEY_LIMIT, Reason.REQUEST_LIMIT, Reason.BYTES_LIMIT),
        Reason.LOOP_DETECTED,
    }
)


def run(arguments: argparse.Namespace, harnesses: Mapping[str, Harness]) -> int:
    """Run it; its exit status."""
    prompt = " ".join(arguments.text) or ("" if sys.stdin.isatty() else sys.stdin.read())
    if not prompt.strip() and not _has_face(arguments, harnesses[arguments.harness]):
        raise CommandError(f'say what it shall do: penstock run {arguments.harness} "PROMPT"')
    try:
        return asyncio.run(_Agent(arguments, harnesses, prompt).run())
    except Refusal as refusal:
        raise CommandError(refused(refusal)) from None
    except (AgentsError, VaultGone) as error:
        raise CommandError(str(error)) from None


def _has_face(arguments: argparse.Namespace, harness: Harness) -> bool:
    """Whether a person can work with it at this terminal, instead of saying what it shall do."""
    needs_words = arguments.json or arguments.ask  # events and questions go to the terminal, too
    return has_terminal() and not needs_words and harness.terminal(Turn(prompt=""), NO_GATEWAY) is not None


class _Agent:
    """One run from its arguments to its exit status."""

    def __init__(self, arguments: argparse.Namespace, harnesses: Mapping[str, Harness], prompt: str) -> None:
        self._arguments = arguments
        self._harnesses = harnesses
        self._prompt = prompt
        self._id = f"run-{secrets.token_hex(8)}"
        self._began = time.monotonic()
        self._principal = Principal(LOCAL, SCOPES)
        self._shown = Shown(colour=_has_colour(), quiet=arguments.quiet)
        self._folder = work_folder(arguments)
        self._interrupts = 0
        self._deciding: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Do it all, and leave nothing behind."""
        arguments = self._arguments
        runs = LocalRuns(runs_directory(arguments.state_dir))
        driver, kept = await runs.begin(self._id, arguments.workspace, drivers.chosen(arguments))
        for each in kept:
            self._shown.note(f"an earlier run was killed; its copy of {each.folder} is in {each.copy}")
        unfinished = arguments.workspace is not None
        private = Path(tempfile.mkdtemp(prefix="penstock-run-"))
        harness = self._harnesses[arguments.harness]
        found_registries: dict[Manager, Registry] = {}
        if driver.has_images and harness.packages:
            found_registries = await asyncio.to_thread(registries)
        elif not is_here(harness):
            self._shown.note(f"{arguments.harness} is not on this machine: it is installed into an environment, once")
            found_registries = await asyncio.to_thread(registries)
        shared = environments_directory(arguments.state_dir, driver.kind)
        alone = alone_in(shared.with_name(f"{shared.name}-locks"))
        try:
            _share_environments(driver, shared)
            async with self._gateway(private) as found:
                if harness.packages and not arguments.model:
                    await check_has_models(found)
                places = Places(private / "sessions.db", vault_directory(arguments.state_dir), private)
                keys = GatewayKeys(found.url, found.key)
                async with opened(
                    places,
                    self._harnesses,
                    keys,
                    driver=driver,
                    bring=self._bring() if self._folder is not None else None,
                    surroundings=_surroundings(arguments),
                    install=lambda driver, way_out: Installing(driver, way_out, found_registries, alone),
                ) as platform:
                    status, brought = await self._session(platform)
                    unfinished = unfinished and (brought is None or bool(brought.conflicts))
            return status
        finally:
            left = await runs.finish(self._id, driver, keep=unfinished)
            if left is not None:
                self._shown.note(f"not everything could be brought back: its copy of {left.folder} is in {left.copy}")
            shutil.rmtree(private, ignore_errors=True)

    @contextlib.asynccontextmanager
    async def _gateway(self, private: Path) -> AsyncIterator[Gateway]:
        url, key = os.environ.get("PENSTOCK_GATEWAY_URL", ""), os.environ.get("PENSTOCK_GATEWAY_KEY", "")
        if url:
            yield Gateway(url, key or os.environ.get("PENSTOCK_MASTER_KEY", ""))
            return
        async with gateway(private / "gateway", self._arguments.config) as found:
            yield found

    def _bring(self) -> Any:
        folder = self._folder
        assert folder is not None
        return lambda session: folder.pack()

    # -- the session --------------------------------------------------------------------------------------------------

    async def _session(self, platform: Platform) -> tuple[int, Brought | None]:
        service, principal = platform.service, self._principal
        agent = await service.define(principal, "agent", self._agent())
        environment = await service.define(principal, "environment", await self._environment(platform))
        wanted = NewSession(agent.id, environment.id, message=self._prompt or None)
        session = await service.start(principal, wanted)
        with self._signals(platform, session):
            outcome = await self._worked(platform, session)
        brought = await self._take_back(platform, session)
        await self._keep_artifacts(platform, session)
        over = await self._over(platform, session)
        if not self._arguments.json:
            self._shown.note(cost_of(over.usage, time.monotonic() - self._began))
        return _status(over, outcome), brought

    async def _worked(self, platform: Platform, session: Session) -> TurnEnd | None:
        """How its turn ended, or its time at this terminal; None where the session did."""
        if self._prompt.strip():
            return await self._followed(platform, session)
        status = await at_terminal(platform, self._principal, session, self._shown.show)
        return None if status is None else TurnEnd("completed" if status == 0 else "failed")

    async def _followed(self, platform: Platform, session: Session) -> TurnEnd | None:
        """Show what happens until the turn is over; how it ended, or None where the session did."""
        async for page in await platform.service.follow(self._principal, session.id, 0):
            for stored in page:
                event = stored.event
                if self._arguments.json:
                    print(stored.json.decode(), flush=True)
                elif not self._is_clone(event):
                    self._shown.show(event)
                if isinstance(event.data, TurnEnd):
                    return event.data
                if isinstance(event.data, ApprovalRequested):
                    self._decide(platform, event, event.data)
        return None

    def _is_clone(self, event: SessionEvent) -> bool:
        """Tell of a clone that failed, in the words of who asked for it, and once."""
        data, url = event.data, self._arguments.repo
        if not url or self._folder is not None:
            return False
        if isinstance(data, Error) and data.code == SetupFailed.code:
            self._shown.failed(clone_failed(url, data.message, bool(self._arguments.secret)))
            return True
        return isinstance(data, Status) and data.state is State.TERMINATED and self._shown.has_failed

    def _decide(self, platform: Platform, event: SessionEvent, asked: ApprovalRequested) -> None:
        task = asyncio.ensure_future(self._decided(platform, asked))
        self._deciding.add(task)
        task.add_done_callback(self._deciding.discard)

    async def _decided(self, platform: Platform, asked: ApprovalRequested) -> None:
        """Ask who sits here; without a terminal nobody does, and that means no."""
        decision = DecideApproval("denied", remember=True)
        if sys.stdin.isatty() and sys.stderr.isatty():
            print(f"  {question_of(asked)} ", end="", file=sys.stderr, flush=True)
            decision = decision_of(asked, await _line())
        with contextlib.suppress(AgentsError):
            await platform.service.decide(self._principal, asked.approval, decision)

    async def _take_back(self, platform: Platform, session: Session) -> Brought | None:
        """What it did to its workspace, before the sandbox goes."""
        for line in not_copied(self._folder):
            self._shown.note(line)
        sandbox = platform.runner.sandbox(session.id)
        row = await platform.service.session(self._principal, session.id)
        if (self._arguments.patch is not None or self._arguments.repo) and row.state is not State.CREATED:
            await self._keep_patch(platform, row)
        if self._folder is None or self._arguments.workspace is None or sandbox is None:
            return None
        try:
            await sandbox.stop()
            brought = await self._folder.unpack(sandbox.get)
        except NotRunning:
            return None  # a limit has ended it meanwhile: its copy is kept
        for name in (*brought.changed, *brought.removed)[:20]:
            self._shown.note(f"{'changed' if name in brought.changed else 'removed'} {line_of(name)}")
        for name, why in brought.left_out:
            self._shown.note(f"left in the sandbox: {line_of(name)}: {why}")
        for name in brought.look_first:
            self._shown.note(f"look at this before you use it: {line_of(name)}")
        return brought

    async def _keep_patch(self, platform: Platform, row: Session) -> None:
        """What it did to a copy that goes with the run."""
        try:
            patch = b"".join([chunk async for chunk in platform.files.diff(row)])
        except AgentsError as error:  # it was never there, or the agent has spoilt it
            self._shown.note(f"there is no patch: {error.message}")
            return
        runs = runs_directory(self._arguments.state_dir)
        told = await asyncio.to_thread(keep_patch, patch, self._arguments.patch, runs, self._id)
        if told:
            self._shown.note(told)

    async def _keep_artifacts(self, platform: Platform, session: Session) -> None:
        """What it has handed out."""
        page = await platform.service.artifacts(self._principal, session.id, after=0, limit=10_000)
        for each in newest(stored.event.data for stored in page if isinstance(stored.event.data, Artifact)):
            if self._arguments.artifacts is None:
                self._shown.note(f"handed out, and lost without --artifacts DIR: {line_of(each.name)}")
                continue
            target = await asyncio.to_thread(place_of, each, self._arguments.artifacts)
            data = b"".join([chunk async for chunk in platform.files.artifact(session, each)])
            await asyncio.to_thread(target.write_bytes, data)
            self._shown.note(f"handed out {line_of(str(target))}")

    async def _over(self, platform: Platform, session: Session) -> Session:
        """End the session, and wait until it has cost all that it has."""
        with contextlib.suppress(AgentsError):  # it has ended by itself
            await platform.service.terminate(self._principal, session.id)
        await platform.runner.settled()
        return await platform.service.session(self._principal, session.id)

    @contextlib.contextmanager
    def _signals(self, platform: Platform, session: Session) -> Any:
        """^C ends the turn; again, everything."""
        loop, run = asyncio.get_running_loop(), asyncio.current_task()
        assert run is not None

        def interrupt() -> None:
            self._interrupts += 1
            if self._interrupts > 1:
                run.cancel()
                return
            self._shown.note("interrupting; ^C again ends at once")
            task = asyncio.ensure_future(self._interrupted(platform, session))
            self._deciding.add(task)
            task.add_done_callback(self._deciding.discard)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def _interrupted(self, platform: Platform, session: Session) -> None:
        try:
            await platform.service.interrupt(self._principal, session.id)
        except AgentsError:  # no turn is under way yet
            with contextlib.suppress(AgentsError):
                await platform.service.terminate(self._principal, session.id)

    # -- what is wanted -----------------------------------------------------------------------------------------------

    def _agent(self) -> AgentSpec:
        arguments = self._arguments
        return AgentSpec(
            name=arguments.harness,
            harness=arguments.harness,
            model=arguments.model,
            system=arguments.system,
            credentials=tuple(dict.fromkeys(arguments.secret)),
            budget=Limits(dollars=arguments.max_dollars, wall_seconds=arguments.max_seconds),
        )

    async def _environment(self, platform: Platform) -> EnvironmentSpec:
        arguments = self._arguments
        rules, setup = list(arguments.allow), list[str]()
        if arguments.repo and self._folder is None:
            bound = await platform.way_out.hosts(arguments.secret, (), "")
            rules += clone_rules(arguments.repo, bound)
            setup += clone_commands(arguments.repo)
        elif arguments.repo:
            setup.append(MARK)
        return EnvironmentSpec(
            name="run",
            egress=tuple(rules),
            setup=tuple(setup),
            variables=dict(pair(text, "--env", "NAME=VALUE") for text in arguments.env),
            isolation="weak" if arguments.isolation == "weak" else "strict",
            ask=arguments.ask,
        )


def question_of(asked: ApprovalRequested) -> str:
    """What to ask on the terminal: a push can be allowed alone, all else for the rest of the session. Pure."""
    if asked.about == "push":
        return "allow it: [y] this push, [a] all by this rule in this session, [N] none?"
    return "allow it for the rest of this session? [y/N]"


def decision_of(asked: ApprovalRequested, line: str) -> DecideApproval:
    """What somebody has answered. Pure."""
    word = line.strip().lower()
    if asked.about == "push" and word in ("a", "all"):
        return DecideApproval("approved", remember=True)
    if word in ("y", "yes"):
        return DecideApproval("approved", remember=asked.about != "push")
    return DecideApproval("denied", remember=True)


def _share_environments(driver: LocalDriver, shared: Path) -> None:
    """What is installed outlives a run: all runs have one folder of environments."""
    own = driver.state.root / "environments"
    shared.mkdir(parents=True, exist_ok=True)
    shared.chmod(own.stat().st_mode & 0o777)
    own.rmdir()
    own.symlink_to(shared, target_is_directory=True)


def _surroundings(arguments: argparse.Namespace) -> Surroundings:
    authority = pem_file(arguments.upstream_ca)
    return Surroundings(
        pins=dict(pair(text, "--pin", "HOST=ADDRESS[:PORT]") for text in arguments.pin),
        addresses={host: tuple(found) for host, found in gathered(arguments.address).items()},
        upstream_cas={"*": authority} if authority else {},
    )


def _status(session: Session, end: TurnEnd | None) -> int:
    """The exit status of a run. Pure."""
    if session.stop_reason in _LIMITS:
        return LIMIT_STATUS
    if end is None:
        return 1
    return {"completed": 0, "failed": 1, "interrupted": 130}[end.outcome]


def _has_colour() -> bool:
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


async def _line() -> str:
    """A line from the terminal, without a thread that would keep this program from ending."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(sys.stdin.fileno(), lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
        return sys.stdin.readline()
    finally:
        loop.remove_reader(sys.stdin.fileno())
