"""`penstock serve` as a newcomer starts it: what it says, what it finds, how it ends, and what it never says."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from penstock.testing.providers import Reply, SimulatedProviders
from tests.e2e.gateway import KEY, PROVIDER_KEYS, environment_for, serving
from tests.support import need
from tests.support.fresh import clean_environment

HELLO = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}


def penstock(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    command = [sys.executable, "-m", "penstock", *arguments]
    return subprocess.run(command, env=clean_environment() | environment, capture_output=True, text=True)


def test_the_state_lies_where_the_configuration_says(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_text("models: [{name: demo, model: demo}]\ngeneral: {state_dir: ours}\n")
    with serving(environment_for(), "--config", str(tmp_path / "penstock.yaml"), "--workers", "1"):
        assert (tmp_path / "ours" / "penstock.db").is_file()


# -- the key ----------------------------------------------------------------------------------------------------------


def test_without_a_key_one_is_made_and_shown_at_the_start_only() -> None:
    with serving(environment_for(), "--log-level", "debug") as gateway:
        assert re.fullmatch(r"sk-[\w-]{32}", gateway.key), "24 random bytes"
        for key in (gateway.key, "wrong", ""):
            httpx.post(f"{gateway.url}/v1/chat/completions", headers={"x-api-key": key}, json=HELLO)
        assert gateway.stop(signal.SIGTERM) == 0
        assert gateway.key in gateway.welcome
        assert gateway.key not in gateway.output.replace(gateway.welcome, "")


def test_each_run_makes_another_key() -> None:
    with serving(environment_for()) as one, serving(environment_for()) as other:
        assert one.key != other.key


@pytest.mark.parametrize("variable", ["PENSTOCK_MASTER_KEY", "LITELLM_MASTER_KEY"])
def test_a_key_from_the_environment_is_taken_and_never_shown(variable: str) -> None:
    with serving(environment_for(None, **{variable: KEY}), "--log-level", "debug") as gateway:
        with httpx.Client(base_url=gateway.url) as client:
            assert client.get("/v1/models", headers={"authorization": f"Bearer {KEY}"}).status_code == 200
            assert client.get("/v1/models", headers={"authorization": f"Bearer {KEY}x"}).status_code == 401
            client.post("/v1/chat/completions", headers={"x-api-key": KEY}, json=HELLO)
        gateway.stop(signal.SIGTERM)
        assert KEY not in gateway.output
        assert '"event":"request"' in gateway.output, "so that the log is one"
        assert f"${variable}" in gateway.welcome, "the line to try names the variable that is set"


def test_keys_of_providers_are_never_shown() -> None:
    with (
        SimulatedProviders() as providers,
        serving(environment_for(providers, PENSTOCK_MASTER_KEY=KEY), "--log-level", "debug") as gateway,
    ):
        for model in ("openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"):
            for reply in (Reply.text("Hi"), Reply.error(401), Reply.html(), Reply.empty()):
                providers.script(reply)
                body = {**HELLO, "model": model}
                httpx.post(f"{gateway.url}/v1/chat/completions", headers={"x-api-key": KEY}, json=body)
        gateway.stop(signal.SIGTERM)
        assert [name for name, key in PROVIDER_KEYS.items() if key in gateway.output] == []


# -- what it offers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"PENSTOCK_MASTER_KEY": KEY}, {"LITELLM_MASTER_KEY": KEY}])
def test_the_line_to_try_works(more: dict[str, str]) -> None:
    need(command="curl", hint="apt-get install curl")
    with serving(environment_for(None, **more)) as gateway:
        line = gateway.welcome[gateway.welcome.index("curl ") :]
        done = subprocess.run(
            ["sh", "-c", line], env=clean_environment() | more, capture_output=True, text=True, check=True
        )
    assert "You said: Hello" in done.stdout


def test_providers_whose_keys_are_there_are_found() -> None:
    with serving(environment_for(OPENAI_API_KEY="sk-fake-openai", PENSTOCK_MASTER_KEY=KEY)) as gateway:
        listed = httpx.get(f"{gateway.url}/v1/models", headers={"x-api-key": KEY}).json()["data"]
    assert "openai/... (keys found in the environment)" in gateway.welcome
    assert {model["owned_by"] for model in listed} == {"penstock", "openai"}
    assert listed[0]["id"] == "demo"
    assert "openai/gpt-4o" in [model["id"] for model in listed]


@pytest.mark.parametrize(
    ("prompt", "stream"),
    [("Hello", False), ("Hello", True), (["Hello"], False), (["Hello"], True), (["Hello", "there"], False)],
)
def test_the_demo_model_completes_texts(prompt: str | list[str], stream: bool) -> None:
    with serving(environment_for(PENSTOCK_MASTER_KEY=KEY)) as gateway:
        body = {"model": "demo", "prompt": prompt, "stream": stream}
        answer = httpx.post(f"{gateway.url}/v1/completions", headers={"x-api-key": KEY}, json=body)
        assert answer.status_code == 200, answer.text
    if stream:
        assert "You said:" in answer.text and answer.text.endswith("data: [DONE]\n\n")
    else:
        choices = answer.json()["choices"]
        assert [choice["text"].rsplit(": ", 1)[1] for choice in choices] == (
            [prompt] if isinstance(prompt, str) else prompt
        )


def test_without_keys_it_says_how_to_get_more() -> None:
    with serving(environment_for()) as gateway:
        assert "Models: demo (offline, no key needed)" in gateway.welcome
        assert "OPENAI_API_KEY" in gateway.welcome


@pytest.mark.parametrize("form", ["http://127.0.0.1:{port}", "127.0.0.1:{port}", "0.0.0.0:{port}", ":{port}"])
def test_an_ollama_is_found_where_its_own_variable_says(form: str) -> None:
    with SimulatedProviders() as ollama:
        environment = environment_for(OLLAMA_HOST=form.format(port=ollama.port), PENSTOCK_MASTER_KEY=KEY)
        with serving(environment) as gateway, httpx.Client(base_url=gateway.url, headers={"x-api-key": KEY}) as client:
            names = [model["id"] for model in client.get("/v1/models").json()["data"]]
            found = [name for name in names if name.startswith("ollama_chat/")]
            assert found and found[0] in gateway.welcome
            ollama.script(Reply.text("From the machine itself"))
            answer = client.post("/v1/chat/completions", json={**HELLO, "model": found[0]}).json()
    assert answer["choices"][0]["message"]["content"] == "From the machine itself"


def test_an_ollama_is_found_on_its_usual_port() -> None:
    try:
        ollama = SimulatedProviders(port=11434).start()
    except OSError:
        pytest.skip("only on a machine where Ollama's port is free")
    try:
        environment = environment_for()
        del environment["OLLAMA_HOST"]
        with serving(environment) as gateway:
            assert "(from the Ollama on this machine)" in gateway.welcome
    finally:
        ollama.close()


def test_the_only_look_around_is_for_ollama_on_this_machine(tmp_path: Path) -> None:
    """From the start to the moment when it serves, also with keys in the environment, in all of its processes."""
    program = f"""
import os, signal, sys
file = os.open({str(tmp_path / "reached")!r}, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
def watch(name, arguments):
    if name.startswith("socket.") or name in ("subprocess.Popen", "os.system", "os.exec"):
        os.write(file, f"{{name}} {{arguments!r}}\\n".encode())
sys.addaudithook(watch)
os.environ.update({PROVIDER_KEYS!r}, AWS_ACCESS_KEY_ID="AKIAFAKE", AWS_SECRET_ACCESS_KEY="fake", AWS_REGION="eu-west-1")
from penstock.control.supervisor import Supervisor
go_on = Supervisor._go_on
def stop_when_it_serves(self):
    go_on(self)
    if self._phase == "serving":
        os.kill(os.getpid(), signal.SIGTERM)
Supervisor._go_on = stop_when_it_serves
from penstock.cli import main
assert main(["serve", "--port", "0"]) == 0
"""
    subprocess.run([sys.executable, "-I", "-c", program], env=clean_environment(), check=True, capture_output=True)
    harmless = ("socket.__new__", "socket.bind")
    events = (tmp_path / "reached").read_text().splitlines()
    reached = [event for event in events if not event.startswith(harmless)]
    assert any("'127.0.0.1', 11434" in event for event in reached), "so that the test can fail"
    own = re.compile(r"socket.connect .*'\S*/penstock-\w+/(channel|api)'\)$")
    assert [event for event in reached if "127.0.0.1" not in event and not own.match(event)] == []


# -- how it starts and ends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(number: int) -> None:
    with serving(environment_for()) as gateway:
        assert gateway.stop(number) == 0
        assert gateway.output == gateway.welcome, "no traceback, no noise"


def test_calls_under_way_may_end() -> None:
    with (
        SimulatedProviders() as providers,
        serving(environment_for(providers, PENSTOCK_MASTER_KEY=KEY)) as gateway,
    ):
        providers.script(Reply.text("Just in time").delivered(before_headers=1.0))
        answers: list[httpx.Response] = []

        def ask() -> None:
            body = {**HELLO, "model": "openai/gpt-4o"}
            answers.append(
                httpx.post(f"{gateway.url}/v1/chat/completions", headers={"x-api-key": KEY}, json=body, timeout=60)
            )

        asking = threading.Thread(target=ask)
        asking.start()
        assert providers.wait_until(lambda those: bool(those.requests))
        assert gateway.stop(signal.SIGTERM) == 0
        asking.join()
    assert answers[0].json()["choices"][0]["message"]["content"] == "Just in time"


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = penstock("serve", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.startswith(f"penstock serve: port {port} of 127.0.0.1 cannot be had")
    assert "--port" in done.stderr
    assert "sk-" not in done.stdout, "no key is made for a gateway that does not start"


def test_a_host_that_is_none_is_named() -> None:
    done = penstock("serve", "--host", "no.such.host.invalid")
    assert (done.returncode, "no.such.host.invalid" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    done = penstock("serve", f"--port={port}")
    assert done.returncode == 2
    assert "is no port" in done.stderr


def test_without_the_extra_it_says_how_to_get_it() -> None:
    program = "import sys; sys.modules['uvicorn'] = None; from penstock.cli import main; sys.exit(main(['serve']))"
    done = subprocess.run([sys.executable, "-c", program], env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "penstock serve: uvicorn is missing: pip install 'penstock[gateway]'\n"


def test_it_listens_on_ipv6_too() -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("only on machines with IPv6")
    with serving(environment_for(PENSTOCK_MASTER_KEY=KEY), "--host", "::1") as gateway:
        assert gateway.url.startswith("http://[::1]:")
        assert httpx.get(f"{gateway.url}/health/liveliness").text == "I'm alive!"
