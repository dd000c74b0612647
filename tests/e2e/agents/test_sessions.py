"""Sessions in real sandboxes, behind a real vault, with a real gateway: what the platform promises of them."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from penstock.agents.errors import Conflict
from penstock.agents.events import ApprovalDecided, ApprovalRequested, Error, Status, TurnEnd
from penstock.agents.machine import Reason, State
from penstock.agents.requests import DecideApproval, ForkSession, NewMessage
from penstock.agents.types import Limits
from tests.e2e.gateway import KEY, Running, environment_for, serving
from tests.support.sandboxes import need_sandboxes, sandbox_folder
from tests.support.session_world import ASK_MODEL, ME, World, words, world


@pytest.fixture(scope="module")
def gateway() -> Iterator[Running]:
    need_sandboxes()
    with serving({**environment_for(), "PENSTOCK_MASTER_KEY": KEY}, "--workers", "1") as running:
        yield running


@pytest.fixture
def state() -> Iterator[Path]:
    with sandbox_folder() as folder:
        yield folder


def run(test: Callable[[World], Awaitable[None]], state: Path, gateway: Running, **more: Any) -> None:
    """Run a test in a world of its own."""

    async def all_of_it() -> None:
        async with world(state, gateway.url, KEY, **more) as there:
            await test(there)

    asyncio.run(all_of_it())


def test_an_agent_reaches_its_model_with_a_stub_and_costs_what_the_ledger_says(state: Path, gateway: Running) -> None:
    async def test(there: World) -> None:
        session = await there.session(f'{ASK_MODEL}; echo; echo "key $OPENAI_API_KEY"; env; cat /proc/*/environ')
        events = await there.turn(session)
        said = words(events)
        assert "You said: hello" in said and f"key {there.keys.made[0][:3]}" in said
        row = await there.row(session, state=State.IDLE)
        assert row.sandbox is not None and row.sandbox.isolation == "full"
        await there.service.terminate(ME, session.id)
        await there.platform.runner.settled()
        over = await there.service.session(ME, session.id)
        spent = await there.keys.spent(session.id)
        assert (over.usage.requests, over.usage.input_tokens, over.usage.output_tokens) == (
            spent.requests,
            spent.input_tokens,
            spent.output_tokens,
        )
        assert over.usage.requests == 1 and over.usage.bytes_out > 0 and over.stop_reason is Reason.USER
        assert session.id not in await there.keys.held() and session.id not in await there.platform.way_out.keys()
        assert not await there.platform.driver.living()
        _check_canary(there.keys.made[0], said, state)

    run(test, state, gateway)


def _check_canary(key: str, said: str, state: Path) -> None:
    """The session's real key is nowhere that its agent or a reader of its log could see."""
    spellings = (key.encode(), base64.b64encode(key.encode())[:40], key.encode().hex().encode())
    for path in (path for path in state.rglob("*") if path.is_file() and path.stat().st_size < 50_000_000):
        content = path.read_bytes()
        assert not any(spelling in content for spelling in spellings), path
    assert not any(spelling.decode() in said for spelling in spellings)


def test_a_suspended_session_goes_on_with_workspace_and_conversation(state: Path, gateway: Running) -> None:
    async def test(there: World) -> None:
        session = await there.session("echo one > file; echo kept > ~/home; sleep 1000 & echo done")
        await there.turn(session)
        await there.row(session, state=State.IDLE)
        await there.service.suspend(ME, session.id)
        await there.row(session, sandbox=None)
        assert not await there.platform.driver.living()
        with pytest.raises(Conflict):
            await there.say(session, "echo nobody hears this")
        await there.service.resume(ME, session.id)
        said = words(await there.say(session, 'cat file ~/home; echo "conversation $RESUME"'))
        assert said == "one\nkept\nconversation first"

    run(test, state, gateway)


def test_a_fork_has_the_workspace_and_the_conversation_as_they_were(state: Path, gateway: Running) -> None:
    async def test(there: World) -> None:
        session = await there.session("echo one > file")
        first = await there.turn(session)
        await there.say(session, "echo two > file")
        await there.row(session, state=State.IDLE)
        fork = await there.service.fork(
            ME, session.id, ForkSession(first[-1].number, message="cat file; echo $RESUME; echo three > file")
        )
        events = await there.until(
            fork, lambda event: isinstance(event.data, TurnEnd) and event.number > first[-1].number
        )
        assert words(events) == "one\nfirst"
        assert [event.number for event in events] == list(range(1, events[-1].number + 1))
        assert words(await there.say(session, "cat file")) == "two"
        again = await there.service.fork(ME, fork.id, ForkSession(first[-1].number, message="cat file"))
        events = await there.until(again, lambda event: isinstance(event.data, TurnEnd) and event.number > 8)
        assert words(events).endswith("one")
        await there.platform.driver.forget(snapshot=f"{session.id}.{first[-1].number}")
        late = await there.service.fork(ME, session.id, ForkSession(first[-1].number, message="cat file"))
        events = await there.until(late, lambda event: isinstance(event.data, TurnEnd) and event.number > 8)
        assert "workspace_not_kept" in [event.data.code for event in events if isinstance(event.data, Error)]

    run(test, state, gateway)


def test_an_interrupt_ends_the_turn_with_all_its_programs_and_keeps_the_session(state: Path, gateway: Running) -> None:
    async def test(there: World) -> None:
        session = await there.session("trap '' INT; echo begun; sleep 1000 & sleep 1000")
        await there.until(session, lambda event: words([event]) == "begun")
        await there.service.interrupt(ME, session.id)
        events = await there.turn(session)
        assert isinstance(events[-1].data, TurnEnd) and events[-1].data.outcome == "interrupted"
        assert words(await there.say(session, "ps ax | grep -c '[s]leep 1000'; true")) == "0"

    run(test, state, gateway)


def test_messages_that_come_during_a_turn_are_the_next_turn(state: Path, gateway: Running) -> None:
    async def test(there: World) -> None:
        session = await there.session("until [ -e go ]; do sleep 0.02; done; echo first")
        await there.until(session, lambda event: isinstance(event.data, Status) and event.data.state is State.RUNNING)
        for text in ("echo second", "echo third"):
            await there.service.message(ME, session.id, NewMessage(text))
        sandbox = there.platform.runner.sandbox(session.id)
        assert sandbox is not None
        await (await sandbox.exec(["touch", "go"])).wait()
        events = await there.until(session, lambda event: words([event]) == "third")
        assert words(events) == "first\nsecond\nthird"
        assert sum(isinstance(event.data, TurnEnd) for event in events) == 1, "both messages were one turn"

    run(test, state, gateway)


def test_when_the_vault_dies_nothing_leaves_and_the_turn_is_run_again_behind_the_next(
    state: Path, gateway: Running
) -> None:
    async def test(there: World) -> None:
        begin = "if [ -e ran ]; then echo $OPENAI_API_KEY; else touch ran; echo $OPENAI_API_KEY; sleep 1000; fi"
        session = await there.session(f"{begin}; {ASK_MODEL}")
        await there.until(session, lambda event: bool(words([event])))
        pid = there.platform.way_out.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        events = await there.turn(session)
        stubs = words(events).split("\n")[:2]
        assert stubs[0] != stubs[1] and "You said: hello" in words(events)
        assert [event.data.code for event in events if isinstance(event.data, Error)] == ["turn_lost"]
        assert sum(isinstance(event.data, TurnEnd) for event in events) == 1
        assert there.platform.way_out.pid not in (None, pid)

    run(test, state, gateway)


def test_the_next_server_takes_sessions_over_in_their_sandboxes(state: Path, gateway: Running) -> None:
    async def all_of_it() -> None:
        async with world(state, gateway.url, KEY) as there:
            session = await there.session("echo one > file")
            await there.turn(session)
            before = (await there.row(session, state=State.IDLE)).sandbox
        async with world(state, gateway.url, KEY) as there:
            assert words(await there.say(session, f"cat file; {ASK_MODEL}")).startswith("one\n{")
            assert (await there.row(session, state=State.IDLE)).sandbox == before and not there.keys.made
            await there.service.terminate(ME, session.id)
            await there.platform.runner.settled()

    asyncio.run(all_of_it())


@pytest.mark.parametrize(
    ("limits", "script", "reason"),
    [
        (Limits(tokens=5), f"{ASK_MODEL}; sleep 1000", Reason.TOKEN_LIMIT),
        (Limits(requests=1), f"{ASK_MODEL}; sleep 1000", Reason.REQUEST_LIMIT),
        (Limits(wall_seconds=1), "sleep 1000", Reason.WALL_LIMIT),
        (
            Limits(repeats=3),
            """for n in 1 2 3 4; do
               echo '{"kind":"tool_call","call":"c'$n'","name":"shell","arguments":{"command":"ls"}}'
               echo '{"kind":"tool_result","call":"c'$n'","output":"nothing"}'; done; sleep 1000""",
            Reason.LOOP_DETECTED,
        ),
    ],
    ids=lambda value: value.value if isinstance(value, Reason) else "",
)
def test_a_limit_ends_the_session_and_says_which(
    state: Path, gateway: Running, limits: Limits, script: str, reason: Reason
) -> None:
    async def test(there: World) -> None:
        session = await there.session(script, agent={"budget": limits})
        over = await there.row(session, state=State.TERMINATED)
        assert over.stop_reason is reason
        await there.platform.runner.settled()
        assert not await there.platform.driver.living()

    run(test, state, gateway)


def test_an_idle_session_is_suspended(state: Path, gateway: Running) -> None:
    async def test(there: World) -> None:
        session = await there.session("true", agent={"budget": Limits(idle_seconds=1)})
        suspended = await there.row(session, state=State.SUSPENDED)
        assert suspended.reason is Reason.IDLE_LIMIT
        await there.row(session, sandbox=None)

    run(test, state, gateway)


def test_a_key_is_made_for_what_the_session_may_spend(state: Path, gateway: Running) -> None:
    async def test(there: World) -> None:
        session = await there.session("true", agent={"budget": Limits(dollars=Decimal("0.25"))})
        await there.turn(session)
        import httpx

        head = {"authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=gateway.url, headers=head) as client:
            info = (await client.get("/key/info", params={"key": there.keys.made[0]})).json()["info"]
        assert (info["max_budget"], info["models"], info["user_id"]) == (0.25, ["demo"], session.id)

    run(test, state, gateway)


def test_a_new_host_is_asked_about_with_the_exact_rule_and_a_no_is_remembered(state: Path, gateway: Running) -> None:
    async def test(there: World) -> None:
        fetch = "curl -s -o /dev/null -w '%{http_code}\\n' http://device.example/interfaces"
        session = await there.session(f"{fetch}; {fetch}", environment={"ask": True})
        events = await there.until(session, lambda event: isinstance(event.data, ApprovalRequested))
        asked = events[-1].data
        assert isinstance(asked, ApprovalRequested) and asked.about == "egress"
        assert asked.rule == "GET http://device.example:80/interfaces"
        await there.row(session, state=State.WAITING_FOR_APPROVAL)
        await there.service.decide(ME, asked.approval, DecideApproval("denied"))
        events = await there.turn(session)
        assert sum(isinstance(event.data, ApprovalRequested) for event in events) == 1
        assert words(events).split() == ["403", "403"]

    run(test, state, gateway)


def test_a_tool_that_asks_waits_for_somebody(state: Path, gateway: Running) -> None:
    async def test(there: World) -> None:
        session = await there.session("echo '?shell'; read answer; echo got $answer", agent={"tools": {"*": "ask"}})
        for decision, note in (("approved", ""), ("denied", "not this one")):
            events = await there.until(session, lambda event: isinstance(event.data, ApprovalRequested))
            asked = events[-1].data
            assert isinstance(asked, ApprovalRequested) and asked.about == "tool"
            await there.service.decide(
                ME,
                asked.approval,
                DecideApproval(decision, remember=False, note=note),  # type: ignore[arg-type]
            )
            events = await there.turn(session)
            assert words(events) == ("got yes" if decision == "approved" else "got no not this one")
            assert any(isinstance(event.data, ApprovalDecided) for event in events)
            session = await there.session("echo '?shell'; read answer; echo got $answer", agent={"tools": {"*": "ask"}})

    run(test, state, gateway)


def test_what_cannot_be_brought_up_says_why_and_leaves_nothing(state: Path, gateway: Running) -> None:
    async def test(there: World) -> None:
        made: set[str] = set()
        broken = [
            ({}, {"setup": ("echo the reason >&2; exit 3",)}, "the reason"),
            ({"credentials": ("NOT_THERE",)}, {}, "NOT_THERE"),
            ({}, {"egress": ("GET nonsense",)}, "address of this rule"),
            ({}, {"image": "debian"}, "image"),
        ]
        for agent, environment, word in broken:
            session = await there.session("true", agent=agent, environment=environment)
            over = await there.row(session, state=State.TERMINATED)
            assert over.stop_reason is Reason.ERROR and word in over.detail, over
            made.add(session.id)
        await there.platform.runner.settled()
        errors = await there.until(session, lambda event: isinstance(event.data, Error))
        assert "--driver docker" in errors[-1].data.fix  # type: ignore[union-attr]  # who has named an image
        assert not await there.platform.driver.living() and not made & await there.keys.held()

    run(test, state, gateway)


def test_a_defect_of_ours_ends_a_session_and_leaves_nobody_waiting(
    state: Path, gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("penstock.agents.bring_up.Workshop.up", broken)

    async def test(there: World) -> None:
        session = await there.session("true")
        over = await there.row(session, state=State.TERMINATED)
        assert over.stop_reason is Reason.ERROR

    run(test, state, gateway)


def test_the_patch_of_a_workspace_runs_nothing_that_the_agent_has_prepared(state: Path, gateway: Running) -> None:
    trap = """git init -q . && git config user.email a@example.com && git config user.name a && echo old > file
    git add . && git commit -qm one && echo new > file && echo more > other
    git config core.fsmonitor "touch /tmp/ran"; git config diff.external "touch /tmp/ran"; echo ok"""

    async def test(there: World) -> None:
        session = await there.session(trap)
        assert words(await there.turn(session)) == "ok"
        row = await there.row(session, state=State.IDLE)
        patch = b"".join([chunk async for chunk in there.platform.files.diff(row)]).decode()
        assert "-old" in patch and "+new" in patch and "+more" in patch
        looks = "ls /tmp/ran 2>/dev/null; git -c core.fsmonitor= diff --cached --name-only; true"
        assert words(await there.say(session, looks)) == ""
        await there.service.suspend(ME, session.id)
        row = await there.row(session, sandbox=None)
        again = b"".join([chunk async for chunk in there.platform.files.diff(row)]).decode()
        assert again == patch

    run(test, state, gateway)


def test_a_warm_pool_serves_sessions_with_identities_of_their_own(state: Path, gateway: Running) -> None:
    async def test(there: World) -> None:
        sessions = [await there.session(f"echo $OPENAI_API_KEY; {ASK_MODEL}") for _ in range(2)]
        said = [words(await there.turn(session)).split("\n") for session in sessions]
        assert said[0][0] != said[1][0] and all("You said: hello" in each[1] for each in said)

    run(test, state, gateway, pool=1)
