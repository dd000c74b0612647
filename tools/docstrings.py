"""Docstrings as Markdown. Ours are written for `help()`, in a few kinds of lines:

    Words of a paragraph, which may go on
    in the next line.

    name, other     what it is: a name, a gap of two spaces at least,
                    and further lines that are indented
    **arguments     names may bear stars
    Heading
        name        a group of names, under a line of words

        code        four spaces after an empty line; or >>> as in a session

    - a list        as in Markdown

These become paragraphs, lists and code. A name needs its gap: without one, its line is a part of a paragraph.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

_NAME = r"(?:\*{0,2}[A-Za-z_][\w.*]*|\.\.\.)"
ENTRY = re.compile(rf"^(?: {{4}})?({_NAME}(?:, {_NAME})*) {{2,}}(\S.*)$")
"""A line that describes something: names, a gap, words."""


def of(value: Any) -> str:
    """The docstring of `value` itself; "" where it has none of its own (a subclass does not lend its parent's)."""
    own = value.__dict__.get("__doc__") if isinstance(value, type) else getattr(value, "__doc__", None)
    return inspect.cleandoc(own) if own else ""


def summary(text: str) -> str:
    """The first sentence."""
    first = " ".join(re.split(r"\n\s*\n", text)[0].split())
    first = re.split(r"(?<=[.:])\s+(?=[A-Z`])|: `", first)[0]
    return f"{first.rstrip(':')}." if first.endswith(":") or not first.endswith((".", ")")) else first


def entries(text: str) -> Iterator[tuple[list[str], str]]:
    """(names, words) of each line that describes something."""
    for block in _blocks(text):
        if isinstance(block, list):
            yield from block


def markdown(text: str) -> str:
    """The whole of it."""
    parts = []
    for block in _blocks(text):
        if isinstance(block, list):
            parts.append("\n".join(f"- {_names(names)}: {escaped(words)}" for names, words in block))
        elif block.startswith("- "):
            parts.append(block)
        elif block.startswith(("    ", ">>> ")):
            parts.append(f"```text\n{inspect.cleandoc(block)}\n```")
        else:
            parts.append(escaped(" ".join(block.split())))
    return "\n\n".join(parts)


def escaped(text: str) -> str:
    """Text in which `<`, `*` and `_` outside of code stand for themselves."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece.startswith("`") else re.sub(r"([<*]|\b_|_\b)", r"\\\1", piece) for piece in pieces)


def _names(names: list[str]) -> str:
    return ", ".join(name if name == "..." else f"`{name}`" for name in names)


def _blocks(text: str) -> Iterator[str | list[tuple[list[str], str]]]:
    """Paragraphs and code as text, rows of entries as a list of them."""
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        lines = paragraph.splitlines()
        if not lines:
            continue
        code = all(line.startswith("    ") for line in lines) and not any(map(ENTRY.match, _dedented(lines)))
        if code or lines[0].startswith(("- ", ">>> ")):
            yield paragraph
        else:
            yield from _mixed(lines)


def _mixed(lines: list[str]) -> Iterator[str | list[tuple[list[str], str]]]:
    words: list[str] = []
    found: list[tuple[list[str], str]] = []
    for line in _dedented(lines) if lines[0].startswith("    ") else lines:
        match = ENTRY.match(line)
        if match:
            if words:
                yield " ".join(words)
                words = []
            found.append((match[1].split(", "), match[2]))
        elif found and line.startswith(" "):
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        else:
            if found:
                yield found
                found = []
            words.append(line.strip())
    yield found or " ".join(words)


def _dedented(lines: list[str]) -> list[str]:
    return inspect.cleandoc("\n" + "\n".join(lines)).splitlines()
