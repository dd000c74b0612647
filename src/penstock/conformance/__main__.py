"""`python -m penstock.conformance FOLDER [--json]`. Exit status: 0 all held, 1 something did not, 2 the folder could
not be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from penstock.conformance.check import check
from penstock.conformance.recording import UnreadableRecording, read_folder
from penstock.conformance.report import as_json, as_text
from penstock.dialects import wire


def main(argv: Sequence[str] | None = None) -> int:
    """Check a folder and print the report; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m penstock.conformance", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a folder of .jsonl files of recorded exchanges")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    arguments = parser.parse_args(argv)
    try:
        results = [check(exchange) for exchange in read_folder(arguments.folder)]
    except (UnreadableRecording, OSError) as error:
        print(f"penstock.conformance: {error}", file=sys.stderr)
        return 2
    report = wire.encode(as_json(results)).decode() if arguments.json else as_text(results)
    print(report)
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
