"""Every refusal that a client can meet on the way of its request is in the reference."""

import ast
from pathlib import Path

import pytest

from penstock import vault
from tests.support.needs import REPOSITORY

ON_THE_WAY = (
    "bodies", "captures", "connections", "downloads", "exchanges", "held", "http1_client_side", "http2_sides", "inject",
    "live_values", "outgoing", "policy", "pushes", "session", "tunnel", "uploads", "websocket", "dial", "http_parts",
)  # fmt: skip
ELSEWHERE = {
    "fetch_failed",
    "bad_proxy",
    "bad_upstream_ca",
    "proxy_refused",
    "unsafe_message",
    "bad_url",
    "variable_twice",
}
"""Of the vault's own calls and settings, and of opening a session."""


def _codes(path: Path) -> set[str]:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call) and node.args]
    made = [call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Refusal"]
    return {each.value for each in made if isinstance(each, ast.Constant) and isinstance(each.value, str)}


@pytest.mark.parametrize("module", ON_THE_WAY)
def test_its_codes_are_in_the_reference(module: str) -> None:
    assert vault.__file__ is not None
    page = (REPOSITORY / "docs/reference/vault-bindings.md").read_text()
    codes = _codes(Path(vault.__file__).with_name(f"{module}.py"))
    assert not {code for code in codes - ELSEWHERE if f"`{code}`" not in page}
