"""Teams: the way to the API, the command's own sums, and what it says where it is of no use."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from penstock.agents.limits import exceeded, left
from penstock.agents.teams import command, way
from penstock.agents.types import AgentSpec, Amounts, Limits
from tests.support.agents import new_session


@pytest.mark.parametrize(
    ("api", "url", "pins"),
    [
        ("http://127.0.0.1:4100", "http://agents.penstock.internal", {way.HOST: "127.0.0.1:4100"}),
        ("http://[::1]:4100", "http://agents.penstock.internal", {way.HOST: "[::1]:4100"}),
        ("https://agents.example.com", "https://agents.example.com", {}),
    ],
)
def test_the_way(api: str, url: str, pins: dict[str, str]) -> None:
    found = way.way_to(api)
    assert (found.url, found.pins) == (url, pins)
    assert all(f" {url}/v1/" in binding for binding in found.bindings)


@pytest.mark.parametrize("wrong", ["127.0.0.1:4100", "ftp://x", "http://x/path", "http://x?y"])
def test_no_way(wrong: str) -> None:
    with pytest.raises(ValueError, match="no server's address"):
        way.way_to(wrong)


def test_a_worker_is_no_supervisor() -> None:
    agent = AgentSpec(name="a", harness="loop", workers=("b",))
    assert way.is_supervisor(agent, new_session())
    assert not way.is_supervisor(agent, new_session(parent="ses_1"))
    assert not way.is_supervisor(replace(agent, workers=()), new_session())


def asked(share: str = "0.25", **said: Any) -> argparse.Namespace:
    return argparse.Namespace(**{**dict.fromkeys(command.AMOUNTS), "share": Decimal(share), **said})


@pytest.mark.parametrize("share", ["0.25", "0.333", "1"])
def test_a_share_is_never_more_than_what_is_left(share: str) -> None:
    boss = new_session(
        limits=Limits(dollars=Decimal("1.000000000001"), tokens=100), lent=Amounts(dollars=Decimal("0.3"), tokens=1)
    )
    rest = left(boss)
    said = command.share_of({"dollars": str(rest.dollars), "tokens": rest.tokens, "requests": None}, asked(share))
    assert set(said) == {"dollars", "tokens"}
    wanted = Limits(dollars=Decimal(said["dollars"]), tokens=said["tokens"])
    assert exceeded(wanted, rest) is None
    assert command.share_of({"tokens": 100}, asked(tokens=7)) == {"tokens": 7}


def test_the_command_needs_nothing_but_python_and_says_what_is_missing() -> None:
    (file,) = way.files().values()
    done = subprocess.run([sys.executable, "-I", "-S", "-", "team"], input=file.content, capture_output=True, env={})
    assert done.returncode == 1, done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "no_team" and "workers" in error["fix"]
