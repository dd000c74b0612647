"""Every setting of the snapshot is read by somebody: one that nobody reads is a promise that is not kept."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

import pytest

import penstock
from penstock.gateway.snapshot import Endpoint, RoutingSettings, Settings, Snapshot

SOURCE = Path(penstock.__file__).parent
SELF_EVIDENT = {"control/config", "gateway/snapshot.py"}
"""Where settings are made, which is not to read them."""

OWNERS = {"settings", "routing", "snapshot", "endpoint"}
"""What such a value is called where it is read: of another, an attribute may only have the same name."""


@lru_cache
def attributes() -> frozenset[str]:
    """The names of all attributes that are read anywhere in the data plane and the control plane."""
    found: set[str] = set()
    for folder in ("gateway", "control", "routing", "cli"):
        for path in (SOURCE / folder).rglob("*.py"):
            if not any(str(path.relative_to(SOURCE)).startswith(place) for place in SELF_EVIDENT):
                tree = ast.parse(path.read_text(encoding="utf-8"))
                found |= {
                    node.attr
                    for node in ast.walk(tree)
                    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
                    if isinstance(node.value, ast.Name | ast.Attribute) and _last(node.value) in OWNERS
                }
    return frozenset(found)


def _last(value: ast.Name | ast.Attribute) -> str:
    return value.id if isinstance(value, ast.Name) else value.attr


@pytest.mark.parametrize(
    "name", [*Settings.__struct_fields__, *RoutingSettings.__struct_fields__, *Snapshot.__struct_fields__,
             *Endpoint.__struct_fields__]
)  # fmt: skip
def test_it_is_read(name: str) -> None:
    assert name in attributes()
