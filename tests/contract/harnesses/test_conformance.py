"""What every harness must do, tried with the real program, in a real sandbox, behind a real vault and gateway.

`loop` and `command` always; in CI also Claude Code and Codex, installed from their registry into an environment.
`PENSTOCK_HARNESSES=all` (or names, with commas between) tries more.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from penstock.agents.errors import Invalid
from penstock.agents.events import Error, Text
from penstock.agents.harnesses.contract import Turn
from penstock.agents.harnesses.registry import HARNESSES
from penstock.testing.providers import Reply, Stall
from tests.contract.harnesses.programs import PROGRAMS, Program
from tests.contract.harnesses.world import Agent, Heard, World, running_world, wanted
from tests.e2e.gateway import KEY, PROVIDER_KEYS
from tests.support.canary import Canary
from tests.support.sandboxes import need_sandboxes

need_sandboxes()
Run = Callable[[Coroutine[Any, Any, Any]], Any]
COMMAND = "echo made-it | tee made.txt"


@pytest.fixture(scope="module")
def everything() -> Iterator[tuple[World, Run, Path]]:
    with running_world() as made:
        yield made


@pytest.fixture(scope="module", params=wanted())
def held(request: pytest.FixtureRequest, everything: tuple[World, Run, Path]) -> Iterator[tuple[Agent, Program, Run]]:
    """One harness with its sandbox; at the end of its tests, the canary."""
    world, run, state = everything
    manager = world.agent(HARNESSES[request.param])
    agent = run(manager.__aenter__())
    try:
        yield agent, PROGRAMS[request.param], run
        run(nothing_leaked(agent, state))
    finally:
        run(manager.__aexit__(None, None, None))


@pytest.fixture(autouse=True)
def clean(everything: tuple[World, Run, Path]) -> None:
    everything[0].provider.clear()


async def nothing_leaked(agent: Agent, state: Path) -> None:
    """No key is in the files, variables, transcripts or events of the sandbox; the stub is, so the search finds."""
    canary = Canary(KEY.encode(), *(key.encode() for key in PROVIDER_KEYS.values()))
    canary.absent("lines, events and launches", *agent.everything)
    canary.absent("the processes inside", await agent.shell("cat /proc/*/environ /proc/*/cmdline 2>/dev/null"))
    for workspace in (state / "sandboxes" / "workspaces").iterdir():
        canary.absent_from_files(workspace)
    assert any(agent.gateway.key.encode() in each for each in agent.everything)


def test_it_says_what_the_model_says(held: tuple[Agent, Program, Run]) -> None:
    agent, program, run = held
    agent.provider.script(Reply.text("One two three four.", pieces=["One ", "two ", "three ", "four."]))
    heard: Heard = run(agent.turn("Count.", system="Be SYSTEMATIC.", **program.fields))
    assert heard.end.outcome == "completed", heard.events
    assert heard.says("One two three four.")
    if program.streams:
        assert len([event for event in heard.of(Text) if event.text]) >= 4
    assert agent.harness.name == "command" or "SYSTEMATIC" in agent.sent()[-1]


def test_a_tool_runs_and_the_model_sees_what_came_of_it(held: tuple[Agent, Program, Run]) -> None:
    agent, program, run = held
    agent.provider.script(program.shell(COMMAND), Reply.text("It is made."))
    heard: Heard = run(agent.turn("Make it.", **program.fields))
    assert heard.end.outcome == "completed", heard.events
    assert run(agent.shell("cat made.txt")) == "made-it\n"
    if program.tells_tools:
        ((call, result),) = heard.tools
        assert "made" in repr(call.arguments)
        assert result is not None
        assert not result.is_error
        assert "made" in result.output
    if program.shows_output:
        assert "made-it\\n" in agent.sent()[-1] or "made-it" in agent.sent()[-1].replace("tee made", "")
        assert heard.says("It is made.")


def test_a_refusal_of_the_model_fails_the_turn_and_not_the_session(held: tuple[Agent, Program, Run]) -> None:
    agent, program, run = held
    agent.provider.script(Reply.error(400, "This prompt is a fake one."))
    heard: Heard = run(agent.turn("Fail.", **program.fields))
    assert heard.end.outcome == "failed"
    assert "This prompt is a fake one." in heard.of(Error)[-1].message
    agent.provider.clear()
    agent.provider.script(Reply.text("Better."))
    after: Heard = run(agent.turn("Again.", resume=heard.end.resume, **program.fields))
    assert after.end.outcome == "completed", after.events
    assert after.says("Better.")


@pytest.mark.parametrize("status", [429, 529])
def test_an_overloaded_model_is_asked_again(held: tuple[Agent, Program, Run], status: int) -> None:
    agent, program, run = held
    agent.provider.script(Reply.error(status, retry_after=0), Reply.text("Now."))
    heard: Heard = run(agent.turn("Try.", **program.fields))
    assert heard.end.outcome == "completed", heard.events
    assert heard.says("Now.")
    assert len(agent.sent()) == 2


def test_an_interrupted_turn_ends_and_the_next_one_goes_on(held: tuple[Agent, Program, Run]) -> None:
    agent, program, run = held
    before = run(agent.processes())
    agent.provider.script(Reply.text("One two three four.", pieces=4).with_faults(Stall(after=6)))

    def is_speaking(heard: Heard) -> bool:
        return bool(agent.sent()) and (bool(heard.text) or not program.streams)

    heard: Heard = run(agent.turn("Remember the word hippopotamus.", until=is_speaking, **program.fields))
    assert heard.end.outcome == "interrupted", heard.events
    assert agent.provider.wait_until(lambda provider: provider.requests[-1].outcome == "client left")
    assert run(agent.processes()) == before
    agent.provider.clear()
    agent.provider.script(Reply.text("Going on."))
    after: Heard = run(agent.turn("Go on.", resume=heard.end.resume, **program.fields))
    assert after.end.outcome == "completed", after.events
    assert after.says("Going on.")


def test_the_next_turn_remembers(held: tuple[Agent, Program, Run]) -> None:
    agent, program, run = held
    used = (program.shell("echo remembered"),) if program.resumes_tools else ()
    agent.provider.script(*used, Reply.text("The word is hippopotamus."))
    first: Heard = run(agent.turn("Which word is it?", **program.fields))
    agent.provider.clear()
    agent.provider.script(Reply.text("Still that."))
    second: Heard = run(agent.turn("-- And now?", resume=first.end.resume, **{**program.fields, **program.again}))
    assert second.end.outcome == "completed", second.events
    said = ("The word is hippopotamus.", "remembered" if used else "") if program.shows_output else ()
    for text in ("Which word is it?", *said, "-- And now?"):
        assert text in agent.sent()[-1]


def test_a_prompt_may_be_longer_than_an_argument_can_be(held: tuple[Agent, Program, Run]) -> None:
    agent, program, run = held
    agent.provider.script(Reply.text("That was long."))
    heard: Heard = run(agent.turn("/" + "long " * 30_000 + "END", **program.fields))
    assert heard.end.outcome == "completed", heard.events
    assert "long END" in agent.sent()[-1]


def test_a_tool_that_is_denied_is_not_used(held: tuple[Agent, Program, Run]) -> None:
    agent, program, run = held
    settings = {program.shell_tool or "shell": "deny"}
    if "deny" not in program.settings:
        with pytest.raises(Invalid, match="cannot be held"):
            agent.harness.launch(Turn(prompt="", tools=settings, **program.fields), agent.gateway)
        return
    agent.provider.script(program.shell("touch denied.txt"), Reply.text("I may not."))
    run(agent.turn("Do it.", tools=settings, **program.fields))
    assert run(agent.shell("ls denied.txt 2>&1 | grep -c 'No such'")) == "1\n"


@pytest.mark.parametrize("allowed", [True, False])
def test_a_tool_is_asked_about(held: tuple[Agent, Program, Run], allowed: bool) -> None:
    agent, program, run = held
    settings = {program.shell_tool or "shell": "ask"}
    if "ask" not in program.settings:
        with pytest.raises(Invalid, match="cannot be held"):
            agent.harness.launch(Turn(prompt="", tools=settings, **program.fields), agent.gateway)
        return
    agent.provider.script(program.shell(f"touch asked-{allowed}.txt"), Reply.text("So be it."))
    heard: Heard = run(agent.turn("Do it.", allowed=allowed, tools=settings, **program.fields))
    assert heard.end.outcome == "completed", heard.events
    assert [question.name for question in heard.questions] == [program.shell_tool]
    assert (run(agent.shell(f"ls asked-{allowed}.txt 2>/dev/null")) != "") == allowed
    ((_, result),) = heard.tools
    assert result is not None and result.is_error != allowed
    assert allowed or "A person said no." in agent.sent()[-1]


def test_the_gateway_gets_the_key_and_knows_no_stub(held: tuple[Agent, Program, Run]) -> None:
    agent, _, _ = held
    url = f"{agent.world.gateway_url}/v1/models"
    assert httpx.get(url, headers={"authorization": f"Bearer {KEY}"}).status_code == 200
    assert httpx.get(url, headers={"authorization": f"Bearer {agent.gateway.key}"}).status_code == 401


def test_the_provider_gets_its_own_key(held: tuple[Agent, Program, Run]) -> None:
    agent, program, run = held
    agent.provider.script(Reply.text("Hello."))
    run(agent.turn("Hello.", **program.fields))
    request = agent.provider.last
    sent = repr(request.headers) + request.target
    assert any(key in sent for key in PROVIDER_KEYS.values())
    assert KEY not in sent + request.body.decode()
    assert agent.gateway.key not in sent + request.body.decode()


def test_the_loop_ends_well_with_the_demo_model(everything: tuple[World, Run, Path]) -> None:
    """Offline, without any provider: the model that only echoes."""
    world, run, _ = everything

    async def whole() -> Heard:
        async with world.agent(HARNESSES["loop"]) as agent:
            return await agent.turn("Hello there", model="demo")

    heard: Heard = run(whole())
    assert heard.end.outcome == "completed", heard.events
    assert "Hello there" in heard.text
