"""A running gateway for tests: `penstock serve` as its users start it, in a process of its own, in front of simulated
providers.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from penstock.testing.providers import SimulatedProviders
from tests.support.fresh import clean_environment

KEY = "sk-fake-master-key-for-tests"
NOWHERE = "http://127.0.0.1:1"
"""Where no Ollama is: what a developer runs on this machine must not matter to a test."""
PROVIDER_KEYS = {
    "OPENAI_API_KEY": "sk-fake-openai-0123456789",
    "ANTHROPIC_API_KEY": "sk-fake-anthropic-0123456789",
    "GEMINI_API_KEY": "fake-gemini-0123456789",
}


@dataclass
class Running:
    """Where it listens, the key it takes, what it said when it started, and its process."""

    url: str
    key: str
    welcome: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        """Everything that it has printed so far, on both of its streams."""
        return self.log.read_text()

    def stop(self, signal: int) -> int:
        """Send a signal; its exit status."""
        self.process.send_signal(signal)
        return self.process.wait(timeout=60)


def environment_for(providers: SimulatedProviders | None = None, **more: str) -> dict[str, str]:
    """An environment in which the simulated providers are OpenAI, Anthropic and Gemini, and no real key is found."""
    kept = {**clean_environment(), "OLLAMA_HOST": NOWHERE, "PYTHONUNBUFFERED": "1"}
    if providers is None:
        return kept | more
    return kept | PROVIDER_KEYS | addresses_of(providers) | more


def addresses_of(providers: SimulatedProviders) -> dict[str, str]:
    """The variables that send the providers' calls to the simulated ones."""
    return {
        "OPENAI_API_BASE": providers.url("openai_chat"),
        "ANTHROPIC_API_BASE": providers.url("anthropic_messages"),
        "GEMINI_API_BASE": f"{providers.url('gemini')}/v1beta",
    }


@contextmanager
def serving(environment: dict[str, str], *arguments: str) -> Iterator[Running]:
    """A gateway on a free port, ready; stopped at the end."""
    command = [sys.executable, "-m", "penstock", "serve", "--port", "0", *arguments]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "output")
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
        try:
            yield _wait(process, log, environment)
        finally:
            process.kill() if process.poll() is None and not _ended(process) else None
            process.wait()


def _ended(process: subprocess.Popen[bytes]) -> bool:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        return False
    return True


def _wait(process: subprocess.Popen[bytes], log: Path, environment: dict[str, str]) -> Running:
    """Wait until what it says is complete: the line to try is the last."""
    while not (
        complete := re.search(
            r"^Penstock listens on .*^ +-d '\{.*?\}'\n\n", said := log.read_text(), re.DOTALL | re.MULTILINE
        )
    ):
        assert process.poll() is None, f"the gateway did not start:\n{said}"
        time.sleep(0.02)
    said = complete[0]
    url = re.search(r"listens on (\S+)", said)
    assert url is not None, said
    made = re.search(r"shown only now: (\S+)", said)
    given = environment.get("PENSTOCK_MASTER_KEY") or environment.get("LITELLM_MASTER_KEY", "")
    return Running(url[1], made[1] if made else given, said, process, log)
