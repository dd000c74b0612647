"""The commands as a user types them, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from penstock import __version__
from penstock.agents.sandboxes import driver
from penstock.cli import COMMANDS, main
from penstock.cli.doctor import from_report
from penstock.testing.providers import Cut, Reply, SimulatedProviders
from tests.e2e.gateway import NOWHERE, environment_for
from tests.support.fresh import clean_environment


def penstock(*arguments: str, said: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command. `said` comes on its standard input."""
    return subprocess.run(
        [sys.executable, "-m", "penstock", *arguments],
        env=clean_environment() | {"OLLAMA_HOST": NOWHERE} | environment,
        input=said,
        stdin=None if said is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


# -- the program ------------------------------------------------------------------------------------------------------


def test_the_program_and_the_module_are_the_same() -> None:
    script = Path(sys.executable).with_name("penstock")
    done = subprocess.run([script, "--version"], env=clean_environment(), capture_output=True, text=True)
    assert done.stdout == penstock("--version").stdout == f"penstock {__version__}\n"


def test_help_lists_every_command() -> None:
    done = penstock("--help")
    assert done.returncode == 0
    shown = " ".join(done.stdout.split())
    for name, summary in COMMANDS.items():
        assert f" {name} {summary} " in shown


def test_the_bare_word_lists_every_command() -> None:
    """Who types it for the first time asks what there is."""
    assert all(summary in " ".join(penstock().stderr.split()) for summary in COMMANDS.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name: str) -> None:
    done = penstock(name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: penstock {name}")


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["models", "--no-such-option"], ["chat"]])
def test_wrong_arguments(arguments: list[str]) -> None:
    done = penstock(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: penstock" in done.stderr


# -- chat -------------------------------------------------------------------------------------------------------------


def test_chat_asks_once() -> None:
    done = penstock("chat", "demo", "Good", "morning")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "This is Penstock's offline demo model. You said: Good morning\n",
        "",
    )


def test_chat_reads_a_pipe() -> None:
    done = penstock("chat", "demo", said="Good morning\n")
    assert done.stdout.endswith("You said: Good morning\n")


@pytest.mark.parametrize("said", ["", "  \n "])
def test_chat_with_nothing_to_ask(said: str) -> None:
    done = penstock("chat", "demo", said=said)
    assert (done.returncode, done.stderr) == (1, "penstock chat: there is nothing to ask: the message is empty\n")


def test_chat_sends_instructions_and_finds_an_address() -> None:
    with SimulatedProviders() as provider:
        provider.script(Reply.text("Bonjour"))
        done = penstock(
            "chat",
            "openai/any",
            "--system",
            "Speak French",
            "--api-base",
            provider.url("openai_chat"),
            "Hello",
            OPENAI_API_KEY="sk-fake",
        )
        assert done.stdout == "Bonjour\n"
        assert [message["content"] for message in provider.last.json["messages"]] == ["Speak French", "Hello"]
        assert provider.last.json["stream"] is True


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("openai/gpt-4o", "Set OPENAI_API_KEY"),
        ("opemai/gpt-4o", "Did you mean openai/gpt-4o"),
        ("nothing-like-it", "Write it as provider/model"),
    ],
)
def test_chat_says_what_is_wrong(model: str, said: str) -> None:
    done = penstock("chat", model, "Hello")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_chat_shows_what_had_arrived_of_a_stream_that_broke_off() -> None:
    with SimulatedProviders() as provider:
        provider.script(Reply.text("one two three four five").with_faults(Cut(after=4)))
        done = penstock("chat", "openai/gpt-4o", "Count", **environment_for(provider))
    assert done.returncode == 1
    assert done.stdout.startswith("one two")
    assert done.stderr.startswith("penstock chat: StreamInterruptedError")


def test_a_conversation_remembers_and_survives_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a terminal would show: a question that failed is forgotten, the others are sent again with each turn."""
    with SimulatedProviders() as provider:
        for name, value in environment_for(provider).items():
            monkeypatch.setenv(name, value)
        lines = iter(["first", "second", "third", ""])
        monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        provider.script(Reply.text("one"), Reply.error(400, "no"), Reply.text("three"))
        assert main(["chat", "openai/gpt-4o"]) == 0
        assert [message["content"] for message in provider.last.json["messages"]] == ["first", "one", "third"]
    said = capsys.readouterr()
    assert said.out == "one\nthree\n"
    assert "BadRequestError" in said.err


# -- models -----------------------------------------------------------------------------------------------------------


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_models_are_searched_by_all_words() -> None:
    found = rows(penstock("models", "claude", "vision", "--json", "--limit", "0"))
    assert len(found) > 10
    assert all("claude" in str(row["name"]).lower() and "vision" in str(row["capabilities"]) for row in found)


def test_models_are_filtered_by_provider_and_mode() -> None:
    found = rows(penstock("models", "--provider", "cohere", "--mode", "rerank", "--json"))
    assert found and {(row["provider"], row["mode"]) for row in found} == {("cohere", "rerank")}


def test_models_to_chat_with_come_first() -> None:
    modes = [
        row["mode"] in ("chat", "responses") for row in rows(penstock("models", "gemini", "--json", "--limit", "0"))
    ]
    assert modes == sorted(modes, reverse=True)


def test_the_makers_come_first_and_before_them_who_has_a_key() -> None:
    found = rows(penstock("models", "claude", "--json", "--limit", "0"))
    places = [(str(row["provider"]), str(row["name"])) for row in found if row["mode"] in ("chat", "responses")]
    others = [place for place in places if place[0] != "anthropic"]
    assert places[: len(places) - len(others)] == sorted(place for place in places if place[0] == "anthropic")
    assert others == sorted(others)
    found = rows(penstock("models", "claude", "--json", "--limit", "0", DEEPINFRA_API_KEY="fake"))
    providers = list(dict.fromkeys(row["provider"] for row in found))
    assert providers[:2] == ["deepinfra", "anthropic"]


def test_a_table_of_models_says_how_many_more_there_are() -> None:
    done = penstock("models", "gpt", "--limit", "3")
    assert done.stdout.splitlines()[0].split()[:2] == ["MODEL", "PROVIDER"]
    assert len(done.stdout.splitlines()) == 4
    assert "more: add a word, or --limit 0" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-model-anywhere"], "no model fits 'no-such-model-anywhere'"),
        (["--provider", "opemai"], "did you mean openai"),
        (["--mode", "chatting"], "there are: audio_speech"),
    ],
)
def test_models_that_are_not_there(arguments: list[str], said: str) -> None:
    done = penstock("models", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr


def test_a_pipe_that_is_closed_early_is_no_error() -> None:
    command = f"{sys.executable} -m penstock models --limit 0 | head -1"
    done = subprocess.run(["sh", "-c", command], env=clean_environment(), capture_output=True, text=True)
    assert (done.stdout.split()[0], done.stderr) == ("MODEL", "")


# -- doctor -----------------------------------------------------------------------------------------------------------


def test_doctor_tells_what_works_and_what_would_help() -> None:
    done = penstock("doctor")
    assert done.returncode == 0
    assert f"Penstock {__version__} on Python" in done.stdout
    assert "no provider keys in the environment" in done.stdout
    assert f"no Ollama answers on {NOWHERE}" in done.stdout


def test_doctor_says_which_isolation_sandboxes_have_and_what_is_missing() -> None:
    works = driver.Finding("filter", True, "full")
    missing = driver.Finding("filter", False, "full", "not installed", "install pyseccomp")
    broken = driver.Finding("bubblewrap", False, "any", "not found", "install the package bubblewrap")
    assert [line.what for line in from_report(driver.Report("local", (works,)))] == [
        "sandboxes (local): full isolation"
    ]
    weak = from_report(driver.Report("local", (missing,)))
    assert [(line.state, line.advice) for line in weak] == [
        ("note", "--isolation weak accepts that"),
        ("note", "install pyseccomp"),
    ]
    assert [line.what for line in from_report(driver.Report("docker", (broken,)))] == [
        "sandboxes (docker): none can be made here",
        "sandboxes (docker): no bubblewrap: not found",
    ]


def test_doctor_asks_no_engine_where_there_is_none(tmp_path: Path) -> None:
    assert "docker" not in penstock("doctor", DOCKER_HOST=f"unix://{tmp_path}/nothing").stdout
    assert "is on another machine" in penstock("doctor", DOCKER_HOST="tcp://engine.example.test:2375").stdout


def test_doctor_names_providers_but_no_key() -> None:
    done = penstock("doctor", OPENAI_API_KEY="sk-fake-openai", PENSTOCK_MASTER_KEY="sk-fake-master-of-some-length")
    assert "keys in the environment for openai" in done.stdout
    assert "sk-fake" not in done.stdout


def test_doctor_finds_an_ollama() -> None:
    with SimulatedProviders() as ollama:
        done = penstock("doctor", OLLAMA_HOST=f"127.0.0.1:{ollama.port}")
    assert f"ok  Ollama on http://127.0.0.1:{ollama.port}: " in done.stdout


def test_doctor_fails_for_a_key_that_can_be_guessed() -> None:
    done = penstock("doctor", PENSTOCK_MASTER_KEY="sk-1234")
    assert done.returncode == 1
    assert "BAD PENSTOCK_MASTER_KEY is short" in done.stdout
