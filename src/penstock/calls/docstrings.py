"""Docstrings: what a function's docstring says of it and of its parameters, in the three styles that are in use.

    numpydoc    `Parameters` underlined, then `name : type` with indented text
    Google      `Args:`, then `name (type): text`
    Sphinx      `:param name: text`

The summary is everything before the first section, joined to one paragraph a blank line.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct


class Said(Struct, frozen=True):
    """What is said of a parameter. `schema` is what the type's words mean, where they are known."""

    description: str
    schema: dict[str, Any] = {}
    optional: bool = False


class Described(Struct, frozen=True):
    """What is said of a function."""

    summary: str
    parameters: dict[str, Said]


_SECTION = re.compile(r"^(Args|Arguments|Parameters|Params|Returns?|Yields?|Raises|Examples?|Notes?|See Also)\s*:?\s*$")
_PARAMETERS = frozenset({"Args", "Arguments", "Parameters", "Params"})
_SPHINX = re.compile(r"^:param(?:\s+(?P<type>[^:]+?))?\s+(?P<name>\w+)\s*:\s*(?P<text>.*)$")
_GOOGLE = re.compile(r"^\*{0,2}(?P<name>\w+)\s*(?:\((?P<type>[^)]*)\))?\s*:\s*(?P<text>.*)$")
_NUMPY = re.compile(r"^\*{0,2}(?P<name>\w+)\s*(?::\s*(?P<type>.*))?$")

_WORDS = {
    "str": "string",
    "string": "string",
    "int": "integer",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "bool": "boolean",
    "boolean": "boolean",
    "list": "array",
    "array": "array",
    "tuple": "array",
    "dict": "object",
    "dictionary": "object",
    "object": "object",
}


def described(docstring: str) -> Described:
    """What a docstring (already dedented) says."""
    lines = docstring.splitlines()
    section, body = "", list[str]()
    found: dict[str, Said] = {}
    summary: list[str] = []
    for number, line in enumerate(lines):
        title = _SECTION.match(line)
        underlined = number + 1 < len(lines) and set(lines[number + 1].strip()) == {"-"}
        if title and (underlined or line.rstrip().endswith(":")):
            found |= _parameters(section, body)
            section, body = title[1], []
        elif line.startswith(":"):
            found |= _parameters(section, body)
            section, body = "sphinx", [line]
        elif section:
            body.append(line)
        else:
            summary.append(line)
    found |= _parameters(section, body)
    return Described(_paragraphs(summary), found)


def _paragraphs(lines: list[str]) -> str:
    blocks = "\n".join(line.strip() for line in lines).split("\n\n")
    return "\n\n".join(text for block in blocks if (text := " ".join(block.split())))


def _parameters(section: str, body: list[str]) -> dict[str, Said]:
    """The parameters that a section tells of."""
    if section == "sphinx":
        return _entries(body, _SPHINX, 0)
    if section not in _PARAMETERS:
        return {}
    if body and set(body[0].strip()) == {"-"}:
        return _entries(body[1:], _NUMPY, 0)
    indent = next((len(line) - len(line.lstrip()) for line in body if line.strip()), 0)
    return _entries(body, _GOOGLE, indent)


def _entries(lines: list[str], pattern: re.Pattern[str], indent: int) -> dict[str, Said]:
    """Entries that begin at this indent; what is indented more goes on with the one before."""
    found: dict[str, tuple[str, list[str]]] = {}
    name = ""
    for line in lines:
        text = line.strip()
        begins = pattern.match(text) if len(line) - len(line.lstrip()) == indent else None
        if begins:
            name = begins["name"]
            found[name] = (begins["type"] or "", [begins.groupdict().get("text") or ""])
        elif name and text:
            found[name][1].append(text)
    return {name: _said(kind, " ".join(texts).strip()) for name, (kind, texts) in found.items()}


def _said(kind: str, text: str) -> Said:
    optional = "optional" in kind
    kind = kind.replace("optional", "").strip(" ,")
    if kind.startswith("{") and "}" in kind:
        words = [word.strip(" '\"") for word in kind[1 : kind.index("}")].split(",")]
        return Said(text, {"type": "string", "enum": [word for word in words if word]}, optional)
    word = re.split(r"[\[, ]", kind)[0].lower()
    return Said(text, {"type": _WORDS[word]} if word in _WORDS else {}, optional)
