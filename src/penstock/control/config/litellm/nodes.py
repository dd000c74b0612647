"""Nodes: what translating needs: nodes of other values at the same place, and a list of what is to be said."""

from __future__ import annotations

from typing import Any

from penstock.control.config.document import Node
from penstock.control.config.problems import Problem


class Said:
    """What is to be said of a configuration."""

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []

    def refuse(self, node: Node, message: str) -> None:
        """Say that something is wrong."""
        self.errors.append(node.problem(message))

    def warn(self, node: Node, message: str) -> None:
        """Say that something is not honoured."""
        self.warnings.append(node.problem(message))


def made(value: Any, like: Node) -> Node:
    """A node of another value at the same place. Plain values within it become nodes there too."""
    if isinstance(value, Node):
        return value
    if isinstance(value, dict):
        value = {name: made(each, like) for name, each in value.items()}
    elif isinstance(value, list | tuple):
        value = [made(each, like) for each in value]
    return Node(value, like.place, like.path, like.secret, like.unset)


_SWITCHES = {"yes": True, "on": True, "no": False, "off": False}


def as_yaml_1_1(node: Node) -> Node:
    """A value whose type nobody knows as LiteLLM's YAML reads it: bare `yes`, `no`, `on` and `off` are switches."""
    if node.bare and isinstance(node.value, str) and node.value.lower() in _SWITCHES:
        return made(_SWITCHES[node.value.lower()], node)
    return node


def asks(node: Node | None) -> bool:
    """Whether a key asks for anything."""
    return node is not None and (node.unset or node.value not in (None, False, "", [], {}))
