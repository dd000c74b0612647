"""Refusals as clients hear them: words for every status that the vault's code names, JSON, plain text for git."""

import ast
import json
from pathlib import Path

from penstock import vault
from penstock.vault.refusals import REASONS, refusal_response
from penstock.vault.values import Refusal, RequestHead


def _statuses() -> set[int]:
    """Every number that some code of the vault gives as `status=`."""
    assert vault.__file__ is not None
    found = set()
    for path in Path(vault.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            value = node.value if isinstance(node, ast.keyword) and node.arg == "status" else None
            if isinstance(value, ast.Constant) and isinstance(value.value, int):
                found.add(value.value)
    return found


def test_every_status_of_a_refusal_has_its_words() -> None:
    assert {405, 413, 421, 502} <= _statuses() <= set(REASONS)
    assert {400, 414, 417, 431, 501, 505} <= set(REASONS), "those that the parser gives"


def test_a_refusal_is_json_and_for_git_plain_text() -> None:
    refusal = Refusal("stub_missing", "It is bound.", fix="Send the stub.", status=401, challenge='Basic realm="x"')
    head, body = refusal_response(refusal)
    assert (head.status, head.reason) == (401, "Unauthorized")
    assert json.loads(body)["error"]["code"] == "stub_missing"
    assert dict(head.headers)["www-authenticate"] == 'Basic realm="x"'
    git = RequestHead("GET", "/", (("user-agent", "git/2.39.5"),))
    assert refusal_response(refusal, git)[1] == b"penstock: It is bound.\nSend the stub.\n"
