"""`python -m penstock.testing.providers`: prints addresses that answer, and stops when it is told to."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

COMMAND = [sys.executable, "-m", "penstock.testing.providers"]
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
KEYS = {"authorization": "Bearer fake"}


@contextmanager
def running(*options: str) -> Iterator[dict[str, str]]:
    """The command, with the addresses that it printed; it is interrupted at the end and must leave cleanly."""
    with subprocess.Popen([*COMMAND, "--port", "0", *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        addresses: dict[str, str] = {}
        while "jina" not in addresses:
            name, address = process.stdout.readline().split()
            addresses[name] = address
        try:
            yield addresses
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0


def test_it_prints_addresses_that_answer() -> None:
    with running() as addresses:
        answer = httpx.post(addresses["openai_chat"] + "/chat/completions", json=CHAT, headers=KEYS)
        assert answer.json()["choices"][0]["message"]["content"] == "You said: hi"
        assert httpx.get(addresses["ollama_chat"] + "/api/tags").status_code == 200


def test_it_streams_as_many_chunks_as_it_is_told() -> None:
    with running("--chunks", "20", "--whole", "--lenient") as addresses:
        body = {**CHAT, "stream": True, "whatever": 1}
        answer = httpx.post(addresses["openai_chat"] + "/chat/completions", json=body, headers=KEYS)
    assert answer.text.count('"content":"word') == 20


def test_a_taken_port_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "choose another --port" in done.stderr
