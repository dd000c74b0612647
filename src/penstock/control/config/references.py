"""References: values that stand in environment variables, `env:NAME` and `os.environ/NAME`, at any place.

A value that is one is replaced by the variable's; `env::text` is the text "env:text" itself. In a header the reference
may also be a word of the value ("Bearer env:NAME"). What came out of the environment is never shown. A variable that is
not set is an error with its place, also where nothing depends on it.

`environment_variables` of the configuration come before the process's own, as in LiteLLM. In LiteLLM's form `env:name`
in small letters is a text (a tag, say), since LiteLLM does not know `env:`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from penstock.calls.litellm_words import is_credential
from penstock.control.config.document import Node
from penstock.control.config.problems import Problem

VARIABLES = "environment_variables"
_REFERENCE = re.compile(r"(?:env:|os\.environ/)(.*)", re.DOTALL)
_WORD = re.compile(r"(?<!\S)(?:env:|os\.environ/)([A-Za-z_][A-Za-z0-9_]*)(?!\S)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_KEYS = frozenset(
    {"key", "master_key", "database_url", "redis_url", "salt_key", "connection_string", "cert_password"}
)
_HEADERS = ("headers", "extra_headers")
_SECRET_BLOCKS = frozenset({"headers", "extra_headers", "default_headers", "query", "extra_query", VARIABLES})
"""Mappings of which every value may be a secret."""


def variables_of(root: Node, environment: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    """What `environment_variables` sets, and what is wrong with it."""
    block = root.items.get(VARIABLES)
    if block is None or block.value is None:
        return {}, []
    if not isinstance(block.value, dict):
        return {}, [block.problem("expected a mapping of names to values")]
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for name, node in block.value.items():
        node.secret = True
        resolved = _resolved(node, environment, True, problems)
        if isinstance(node.value, dict | list) or node.value is None:
            problems.append(node.problem("expected a text"))
        elif isinstance(node.value, bool):
            found[name] = str(node.value)
        elif resolved is not None:
            found[name] = resolved
    return found, problems


def resolve(root: Node, environment: Mapping[str, str], litellm: bool) -> list[Problem]:
    """Put the variables' values into the tree, and mark what is secret. Answers what is missing."""
    problems: list[Problem] = []
    for name, node in root.items.items():
        if name != VARIABLES:
            _resolve(node, name, environment, litellm, problems, False)
    return problems


def _resolve(
    node: Node,
    name: str,
    environment: Mapping[str, str],
    litellm: bool,
    problems: list[Problem],
    secret: bool,
    in_header: bool = False,
) -> None:
    secret = secret or is_secret_key(name)
    node.secret = node.secret or secret
    if isinstance(node.value, str):
        read = _resolved_header if in_header else _resolved
        resolved = read(node, environment, litellm, problems)
        node.unset = resolved is None
        node.value = node.value if resolved is None else resolved
    below = secret or name in _SECRET_BLOCKS
    for key, child in node.items.items():
        _resolve(child, key, environment, litellm, problems, below, name in _HEADERS)
    for child in node.entries:
        _resolve(child, name, environment, litellm, problems, below)


def _resolved(node: Node, environment: Mapping[str, str], litellm: bool, problems: list[Problem]) -> str | None:
    """The text, or what it refers to; None where that is not set."""
    text = str(node.value)
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return text
    name = match[1]
    ours = text.startswith("env:")
    if ours and litellm and not name.isupper():
        return text
    if ours and name.startswith(":"):
        return f"env{name}"
    if not _NAME.fullmatch(name):
        problems.append(node.problem("it names no environment variable (a second colon makes it a text)"))
        return None
    node.secret = True
    if name not in environment:
        problems.append(node.problem(f"the environment variable {name} is not set"))
        return None
    return environment[name]


def _resolved_header(node: Node, environment: Mapping[str, str], litellm: bool, problems: list[Problem]) -> str | None:
    """The same, where a reference may be one word of several."""
    text = str(node.value)
    names = [match[1] for match in _WORD.finditer(text)]
    if _REFERENCE.fullmatch(text) or not names:
        return _resolved(node, environment, litellm, problems)
    missing = [name for name in names if name not in environment]
    problems += [node.problem(f"the environment variable {name} is not set") for name in missing]
    return None if missing else _WORD.sub(lambda match: environment[match[1]], text)


def is_secret_key(name: str) -> bool:
    """Whether a value of this name must not be shown."""
    return name in _SECRET_KEYS or is_credential(name)
