"""How programs are started: what every launch holds, and what each program is told."""

from __future__ import annotations

import json
import tomllib

import pytest

from penstock.agents.errors import Invalid
from penstock.agents.harnesses.contract import Gateway, Launch, Turn, literally, setting_of
from penstock.agents.harnesses.registry import HARNESSES, harness_of, registered
from penstock.agents.sandboxes.driver import HOME, WORKSPACE

GATEWAY = Gateway("http://gateway.example", "sk-fake-stub-of-a-session", ("fast", "slow"))
PROMPT = "Mend it; say 'done' \"so\" $HOME \n--and more"


def turn(**fields: object) -> Turn:
    return Turn(**{"prompt": PROMPT, "model": "fast", "arguments": ("make", "test"), **fields})  # type: ignore[arg-type]


def launch(name: str, **fields: object) -> Launch:
    return HARNESSES[name].launch(turn(**fields), GATEWAY)


@pytest.mark.parametrize("name", sorted(HARNESSES))
def test_no_prompt_is_an_argument(name: str) -> None:
    made = launch(name, system="Be brief.")
    assert not [word for word in made.argv if PROMPT in word]
    assert PROMPT.encode() in made.stdin or json.dumps(PROMPT).encode() in made.stdin


@pytest.mark.parametrize("name", sorted(HARNESSES))
def test_the_key_is_in_variables_only(name: str) -> None:
    """Arguments can be read by every process inside; files outlive the session's stub."""
    made = launch(name, system="Be brief.", resume="a-conversation")
    assert GATEWAY.key in made.env.values()
    assert not [word for word in made.argv if GATEWAY.key in word]
    assert not [path for path, file in made.files.items() if GATEWAY.key.encode() in file.content]


@pytest.mark.parametrize("name", sorted(HARNESSES))
def test_files_go_where_they_may(name: str) -> None:
    files = launch(name, system="Be brief.").files
    assert all(path.startswith((f"{HOME}/", f"{WORKSPACE}/")) for path in files)
    for path in files:
        assert path == path.replace("//", "/") and ".." not in path


@pytest.mark.parametrize("name", sorted(set(HARNESSES) - {"command"}))
def test_a_resumed_turn_says_which(name: str) -> None:
    """The programs of others by an argument, but for aider, which has one conversation; ours in its input."""
    first, second = launch(name), launch(name, resume="a-conversation")
    assert "a-conversation" not in repr(first)
    assert (first.argv, first.stdin) != (second.argv, second.stdin)
    assert "a-conversation" in repr(second) or name == "aider"


@pytest.mark.parametrize("name", sorted(set(HARNESSES) - {"command"}))
def test_the_system_prompt_is_given(name: str) -> None:
    assert "Be brief." in repr(launch(name, system="Be brief."))


@pytest.mark.parametrize("name", sorted(HARNESSES))
def test_a_terminal_has_the_same_key_and_no_prompt(name: str) -> None:
    made = HARNESSES[name].terminal(turn(), GATEWAY)
    assert (made is None) == (name == "loop")
    if made is not None:
        assert made.stdin == b"" and not made.answers
        assert made.env == launch(name).env


@pytest.mark.parametrize("name", ["codex", "opencode", "gemini", "aider", "command"])
def test_a_program_that_cannot_ask_is_not_started_with_the_promise(name: str) -> None:
    with pytest.raises(Invalid, match=r"cannot be held to `ask`"):
        launch(name, tools={"*": "ask"})


@pytest.mark.parametrize("name", sorted(HARNESSES))
def test_a_setting_that_nobody_knows_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="cannot be held"):
        launch(name, tools={"Bash": "sometimes"})


def test_settings_of_tools() -> None:
    tools = {"shell": "ask", "*": "deny", "read": "auto", "odd": "whatever"}
    found = {name: setting_of(tools, name) for name in ("shell", "read", "odd", "other")}
    assert found == {"shell": "ask", "read": "auto", "odd": "deny", "other": "deny"}
    assert setting_of({}, "anything") == "auto"


def test_claude_code_is_held_to_settings() -> None:
    made = launch("claude-code", tools={"Bash": "ask", "WebFetch": "deny", "Read": "auto"})
    options = list(made.argv)
    permissions = json.loads(options[options.index("--settings") + 1])["permissions"]
    assert permissions == {"allow": ["Read"], "ask": ["Bash"], "deny": ["WebFetch"]}
    assert made.answers and "--dangerously-skip-permissions" not in options
    only = list(launch("claude-code", tools={"Read": "auto", "*": "deny"}).argv)
    assert only[only.index("--tools") + 1] == "Read"


def test_codex_reads_its_options_as_toml() -> None:
    odd = 'He said: "a\\b" \n\t é 😀'
    words = launch("codex", system=odd, model='a"model').argv
    settings = [words[at + 1] for at, word in enumerate(words) if word == "-c"]
    read = tomllib.loads("\n".join(text for text in settings if not text.startswith(("web_search",))))
    assert read["developer_instructions"] == odd
    assert read["model"] == 'a"model'
    assert read["model_providers"]["penstock"]["base_url"] == "http://gateway.example/v1"


def test_opencode_knows_one_provider() -> None:
    config = json.loads(launch("opencode", tools={"bash": "deny"}).env["OPENCODE_CONFIG_CONTENT"])
    assert config["enabled_providers"] == ["penstock"]
    assert sorted(config["provider"]["penstock"]["models"]) == ["fast", "slow"]
    assert config["permission"] == {"*": "allow", "bash": "deny"}


def test_a_command_needs_a_program() -> None:
    with pytest.raises(Invalid, match="does not know what to run"):
        launch("command", arguments=())
    assert launch("command", arguments=("echo", "{prompt}")).argv == ("echo", PROMPT)


def test_what_begins_like_a_command_of_the_program_is_said_literally() -> None:
    assert [literally(text) for text in ("/run", "!ls", "say /run")] == [" /run", " !ls", "say /run"]


def test_the_registry_fails_at_start() -> None:
    class Loud:
        name = "Loud!"

    loop = HARNESSES["loop"]
    with pytest.raises(ValueError, match="two harnesses are called 'loop'"):
        registered((loop, loop))
    with pytest.raises(ValueError, match="no name of a harness"):
        registered((Loud(),))  # type: ignore[arg-type]
    with pytest.raises(Invalid, match=r"use one of aider, claude-code, codex, command, gemini, loop, opencode"):
        harness_of("nothing")
    assert {harness_of(name).name for name in HARNESSES} == set(HARNESSES)
