"""A running gateway for tests: `penstock serve` as its users start it, in a process of its own, in front of simulated
providers.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from penstock.testing.providers import SimulatedProviders

KEY = "sk-fake-master-key-for-tests"


class Running(Struct, frozen=True):
    """Where it listens, the key it takes, and what it said when it started."""

    url: str
    key: str
    welcome: str


def environment_for(providers: SimulatedProviders | None = None) -> dict[str, str]:
    """An environment in which the simulated providers are OpenAI, Anthropic and Gemini, and no real key is found."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT", "PYTHONPATH") if name in os.environ}
    if providers is None:
        return kept
    return kept | {
        "OPENAI_API_KEY": "sk-fake-openai",
        "OPENAI_API_BASE": providers.url("openai_chat"),
        "ANTHROPIC_API_KEY": "sk-fake-anthropic",
        "ANTHROPIC_API_BASE": providers.url("anthropic_messages"),
        "GEMINI_API_KEY": "fake-gemini",
        "GEMINI_API_BASE": f"{providers.url('gemini')}/v1beta",
    }


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[Running]:
    """A gateway on a free port, ready; stopped at the end."""
    command = [sys.executable, "-m", "penstock", "serve", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield _wait(process, environment)
    finally:
        process.terminate()
        assert process.stdout is not None
        process.stdout.close()
        process.wait(timeout=10)


def _wait(process: subprocess.Popen[str], environment: dict[str, str]) -> Running:
    """Read what it says until the line to try is complete."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.strip().startswith("-d"):
            break
    url = re.search(r"listens on (\S+)", said)
    assert url is not None, f"the gateway did not start:\n{said}{process.stdout.read()}"
    made = re.search(r"shown only now: (\S+)", said)
    return Running(url[1], made[1] if made else environment["PENSTOCK_MASTER_KEY"], said)
