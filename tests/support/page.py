"""Run the Python blocks of one Markdown page, as a reader would who follows it from the top.

All blocks of a page share one namespace, so a later block may use what an earlier one made. The words after
"```python" say otherwise:

    ```python                     run it
    ```python fresh               run it in an empty namespace, which the blocks after it share
    ```python no-run: REASON      show it only; the reason is for whoever asks why it is not tested

Anything else there is an error, so that a misspelt word does not quietly become prose. The page has no network but this
machine's own (loopback), and a traceback points at the line of the page.

This file is also a program, `python page.py PAGE`, and imports nothing of ours: tests/test_docs.py runs it in a clean
interpreter.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>`{3,})(?P<info>[^`\n]*)\n(?P<code>.*?)^(?P=indent)(?P=ticks) *$",
    re.MULTILINE | re.DOTALL,
)
_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


@dataclass(frozen=True)
class Block:
    """One Python block: `line` is where its code begins in the page, counted from 1; `reason` why it is not run."""

    line: int
    code: str
    fresh: bool = False
    reason: str | None = None


class PageError(ValueError):
    """The page is written in a way that this runner does not understand: its author must mend the fence."""


def blocks(text: str) -> Iterator[Block]:
    """The Python blocks of a page, in order. Raises PageError for a word after "python" that means nothing."""
    for fence in _FENCE.finditer(text):
        language, _, word = fence["info"].strip().partition(" ")
        if language not in ("python", "py", "python3"):
            continue
        line = text.count("\n", 0, fence.start("code")) + 1
        indent = len(fence["indent"])
        code = "".join(row[indent:] or "\n" for row in fence["code"].splitlines(keepends=True))
        yield _block(line, code, word.strip())


def _block(line: int, code: str, word: str) -> Block:
    if word in ("", "fresh"):
        return Block(line, code, fresh=word == "fresh")
    if word.startswith("no-run:") and word.removeprefix("no-run:").strip():
        return Block(line, code, reason=word.removeprefix("no-run:").strip())
    raise PageError(f"line {line - 1}: {word!r} is none of: fresh, no-run: REASON")


def run(page: Path) -> None:
    """Run the page's blocks in this interpreter. Whatever they raise, comes out."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.reason is not None:
            continue
        if block.fresh:
            namespace = {"__name__": "__main__"}
        exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), namespace)


def refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: whoever reaches beyond this machine gets an error that says so."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto"):
        host = arguments[1][0] if isinstance(arguments[1], tuple) else None
    else:
        return
    name = host.decode() if isinstance(host, bytes) else host
    if name and not name.startswith(_LOOPBACK):
        raise PermissionError(f"an example reached for {name!r}: examples run without a network")


if __name__ == "__main__":
    sys.addaudithook(refuse_network)
    run(Path(sys.argv[1]))
