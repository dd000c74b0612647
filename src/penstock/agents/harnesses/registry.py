"""All harnesses, by the word that users say. Two of one name, or one without a name, fail at start."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from penstock.agents.errors import Invalid
from penstock.agents.harnesses.aider import Aider
from penstock.agents.harnesses.claude_code import ClaudeCode
from penstock.agents.harnesses.codex import Codex
from penstock.agents.harnesses.command import Command
from penstock.agents.harnesses.contract import Harness
from penstock.agents.harnesses.gemini import Gemini
from penstock.agents.harnesses.loop import Loop
from penstock.agents.harnesses.opencode import OpenCode


def registered(harnesses: Iterable[Harness]) -> Mapping[str, Harness]:
    """These, by name.

    Raises:
        ValueError: two have one name, or a name is none that can be typed.
    """
    found: dict[str, Harness] = {}
    for harness in harnesses:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", harness.name):
            raise ValueError(f"{harness.name!r} is no name of a harness: use lower case, digits and hyphens")
        if harness.name in found:
            raise ValueError(f"two harnesses are called {harness.name!r}")
        found[harness.name] = harness
    return MappingProxyType(found)


HARNESSES = registered((ClaudeCode(), Codex(), OpenCode(), Gemini(), Aider(), Command(), Loop()))


def harness_of(name: str) -> Harness:
    """The harness of this name.

    Raises:
        Invalid: there is none; names those that there are.
    """
    if name not in HARNESSES:
        raise Invalid(
            f"there is no harness {name!r}", fix=f"use one of {', '.join(sorted(HARNESSES))}", param="harness"
        )
    return HARNESSES[name]
