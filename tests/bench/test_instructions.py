"""Counting instructions: the signals do no harm where there is no valgrind, and the command says when there is none."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from bench.gateway import instructions

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="only on x86-64")

PROGRAM = """
import os, signal
for _ in range(4):
    os.kill(os.getpid(), signal.SIGUSR2)
print("unharmed")
"""


def test_without_valgrind_a_process_is_unharmed() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(instructions.__file__).parent / "counting")}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "unharmed\n"), done.stderr


def test_without_valgrind_the_command_says_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert instructions.main([]) == 1
    assert "apt-get install valgrind" in capsys.readouterr().err
