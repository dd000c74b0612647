"""A host that no rule names, in a session that asks: what waits goes on with a yes, a no holds, and silence is a no to
what waited and to nothing else. With the real vault, a real program, and somebody at a terminal.
"""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from penstock.agents.attending import questions
from penstock.agents.bring_up import Surroundings
from penstock.agents.events import ApprovalDecided, ApprovalRequested, SessionEvent
from penstock.agents.machine import State
from penstock.agents.requests import DecideApproval, NewMessage
from penstock.testing.providers import Reply, SimulatedProviders, ToolCall
from tests.e2e.gateway import KEY, Running, environment_for, serving
from tests.support.recording_upstream import RecordingUpstream, recording_upstream
from tests.support.runs import machine
from tests.support.sandboxes import need_sandboxes, sandbox_folder
from tests.support.session_world import ME, World, words, world

HOST = "new.example.test"
FETCH = f"curl -s -o /dev/null -w '%{{http_code}}\\n' https://{HOST}/thing"
RULE = f"* https://{HOST}:443/*"
Test = Callable[[World], Awaitable[None]]


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordingUpstream]:
    need_sandboxes()
    with recording_upstream(tmp_path_factory.mktemp("upstream"), HOST) as running:
        yield running


@pytest.fixture(scope="module")
def gateway() -> Iterator[Running]:
    with serving({**environment_for(), "PENSTOCK_MASTER_KEY": KEY}, "--workers", "1") as running:
        yield running


@pytest.fixture
def run(upstream: RecordingUpstream, gateway: Running) -> Iterator[Callable[[Test], None]]:
    """Runs a test in a world in which HOST is the upstream."""
    around = Surroundings(pins={HOST: f"127.0.0.1:{upstream.port}"}, upstream_cas={"*": upstream.ca_pem})

    async def all_of_it(test: Test, state: Path) -> None:
        async with world(state, gateway.url, KEY, surroundings=around) as there:
            await test(there)

    upstream.asked.clear()
    with sandbox_folder() as state:
        yield lambda test: asyncio.run(all_of_it(test, state))


def is_asked(event: SessionEvent) -> bool:
    return isinstance(event.data, ApprovalRequested)


def asked_in(events: list[SessionEvent]) -> list[ApprovalRequested]:
    return [event.data for event in events if isinstance(event.data, ApprovalRequested)]


def test_a_yes_lets_what_waits_through_and_holds_over_a_suspension(
    run: Callable[[Test], None], upstream: RecordingUpstream
) -> None:
    async def test(there: World) -> None:
        session = await there.session(f"{FETCH}; {FETCH}", environment={"ask": True})
        events = await there.until(session, is_asked)
        asked = asked_in(events)[-1]
        assert (asked.about, asked.rule) == ("egress", RULE) and not upstream.asked
        await there.row(session, state=State.WAITING_FOR_APPROVAL)
        await there.service.decide(ME, asked.approval, DecideApproval("approved", remember=True))
        events = await there.turn(session)
        assert words(events).split() == ["200", "200"] and len(asked_in(events)) == 1
        await there.row(session, state=State.IDLE)
        await there.service.suspend(ME, session.id)
        await there.row(session, sandbox=None)
        await there.service.resume(ME, session.id)
        events = await there.say(session, FETCH)
        assert words(events) == "200" and not asked_in(events), "the rule was added as it was shown"
        other = f"curl -s -o /dev/null -w '%{{http_code}}' http://{HOST}/thing"
        said = await there.service.message(ME, session.id, NewMessage(other))
        events = await there.until(session, is_asked, after=said.number)
        assert asked_in(events)[-1].rule == f"GET http://{HOST}:80/thing", "and no more than that"
        assert [each.target for each in upstream.asked] == ["/thing"] * 3

    run(test)


def test_silence_is_a_no_to_what_waited_and_a_later_question_is_heard(
    run: Callable[[Test], None], upstream: RecordingUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "ASK_SECONDS", 1)

    async def test(there: World) -> None:
        session = await there.session(f"{FETCH}; true", environment={"ask": True})
        events = await there.turn(session)
        assert words(events) == "000" and not upstream.asked
        assert [each.data.decision for each in events if isinstance(each.data, ApprovalDecided)] == ["expired"]
        monkeypatch.setattr(questions, "ASK_SECONDS", 100)
        said = await there.service.message(ME, session.id, NewMessage(FETCH))
        asked = asked_in(await there.until(session, is_asked, after=said.number))[-1]
        await there.service.decide(ME, asked.approval, DecideApproval("approved"))
        events = await there.until(session, lambda event: words([event]) == "200", after=said.number)
        assert [each.target for each in upstream.asked] == ["/thing"]

    run(test)


@pytest.mark.parametrize("answer", ["y", "n"])
def test_somebody_at_a_terminal_is_asked(upstream: RecordingUpstream, answer: str) -> None:
    upstream.asked.clear()
    outer, inner = pty.openpty()
    fetch = f"{FETCH}; {FETCH}; true"
    with machine() as here, SimulatedProviders() as provider:
        authority = here.state.parent / "authority.pem"
        authority.write_text(upstream.ca_pem)
        provider.script(Reply.tool_calls(ToolCall("shell", {"command": fetch})), Reply.text("It is done."))
        more = {**environment_for(provider), "PENSTOCK_STATE_DIR": str(here.state)}
        ways = ("--pin", f"{HOST}=127.0.0.1:{upstream.port}", "--upstream-ca", str(authority))
        command = here.command("run", "loop", "--model", "openai/gpt-4o", "--ask", *ways, "fetch it")
        running = subprocess.Popen(command, env=more, stdin=inner, stdout=subprocess.PIPE, stderr=inner)
        os.close(inner)
        shown = ""
        while "[y/N]" not in shown:
            shown += os.read(outer, 4096).decode()
        assert RULE in shown and not upstream.asked, "it waits"
        os.write(outer, f"{answer}\n".encode())
        output, _ = running.communicate(timeout=60)
        assert (running.returncode, output) == (0, b"It is done.\n")
        told = str(provider.last.json)
    os.close(outer)
    assert len(upstream.asked) == (2 if answer == "y" else 0)
    assert ("200\\\\n200" in told or "200\\n200" in told) == (answer == "y"), told
