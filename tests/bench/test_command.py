"""The command, with its mocks, nginx and wrk: that a run measures and prints, and says what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.gateway import command, machine
from bench.gateway.install import PACKAGES
from bench.gateway.peers import PEERS
from bench.gateway.scenarios import SCENARIOS
from tests.support import need
from tests.support.needs import REPOSITORY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    need(command="nginx", hint="apt-get install nginx-light")
    need(command="wrk", hint="apt-get install wrk")
    environment = {**os.environ, "PENSTOCK_BENCH_CACHE": str(tmp_path), "TMPDIR": str(tmp_path)}
    command_line = [sys.executable, "-m", "bench", "gateway", *arguments, "--rounds", "1", "--seconds", "1"]
    return subprocess.run(command_line, capture_output=True, text=True, cwd=REPOSITORY, env=environment, timeout=300)


@pytest.mark.parametrize("scenario", ["relay", "latency", "stream-relay", "many-streams", "rest"])
def test_a_scenario_measures_a_plain_proxy(scenario: str, tmp_path: Path) -> None:
    done = run(tmp_path, scenario, "--peers", "nginx,envoy")
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = (line.split() for line in done.stdout.splitlines() if line.startswith("  nginx "))
    assert len(row) > 3 and "nan" not in row
    assert "without envoy: not installed: python -m bench gateway install envoy" in done.stdout
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_penstock_does_all_that_it_is_measured_at(tmp_path: Path) -> None:
    scenarios = ("relay", "translate", "stream-relay", "stream-translate")
    done = run(tmp_path, *scenarios, "--peers", "nginx,penstock")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("  penstock ")]
    assert len(rows) == len(scenarios) and not any("nan" in row for row in rows)


def test_a_run_that_is_told_to_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    need(command="nginx", hint="apt-get install nginx-light")
    need(command="wrk", hint="apt-get install wrk")
    line = [sys.executable, "-m", "bench", "gateway", "relay", "--peers", "nginx", "--seconds", "60"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(line, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL)
    while not any(each.name == "load.lua" for each in tmp_path.rglob("*")):  # the load is about to begin
        assert process.poll() is None
        time.sleep(0.05)
    started = machine.family(process.pid)[1:]
    process.terminate()
    assert process.wait(60) == 143
    assert list(tmp_path.iterdir()) == []
    while any("nginx" in machine.title_of(pid) for pid in started):
        time.sleep(0.01)


@pytest.mark.parametrize("arguments", [["no-such"], ["relay", "--peers", "no-such"], ["relay", "--install", "nginx"]])
def test_a_wrong_name_gets_the_right_ones(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)
    said = capsys.readouterr().err
    assert any(", ".join(known) in said for known in (PEERS, SCENARIOS, PACKAGES))


def test_without_wrk_it_says_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command.main(["relay"]) == 1
    assert "apt-get install wrk" in capsys.readouterr().err
