"""The size of the wheel, and the packages that it brings."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from bench.figures import Figure


def figures() -> list[Figure]:
    """The line of the table."""
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, str(root)]
        subprocess.run(command, capture_output=True, check=True)
        size = sum(wheel.stat().st_size for wheel in Path(folder).glob("*.whl"))
    return [Figure("wheel", 2, size / 1024 / 1024, "MB")]
