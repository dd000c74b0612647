"""What makes git log in with stubs: one credential helper for each host that a secret is bound to by HTTP's Basic.

Git sends its first request without credentials and asks a helper after the 401; the helper is a line of shell that says
the value of a variable, which is a stub. See git-scm.com/docs/gitcredentials.
"""

from __future__ import annotations

from collections.abc import Iterable

from penstock.vault.held import Held
from penstock.vault.names import format_authority
from penstock.vault.values import DEFAULT_PORTS

USER = "x-access-token"
"""The user where none is known: servers that take tokens look at the password only (as GitHub documents)."""


def git_config(held: Iterable[Held]) -> str:
    """Return the lines for a system-wide git configuration."""
    sections = {section for each in held if each.record.env for section in _sections(each, each.record.env)}
    return "".join(sorted(sections))


def _sections(held: Held, variable: str) -> Iterable[str]:
    for binding in held.bindings:
        rule = binding.rule
        if binding.slot.kind == "basic" and rule.scheme != "ssh" and "*" not in rule.host:
            origin = f"{rule.scheme}://{format_authority(rule.host, rule.port, DEFAULT_PORTS[rule.scheme])}"
            user, password = USER, f"${variable}"
            if binding.slot.name == "user":
                user, password = f"${variable}", "x-oauth-basic"
            said = f"echo username={user}; echo password={password}"
            yield f'[credential "{origin}"]\n\thelper = "!f() {{ test \\"$1\\" = get && {{ {said}; }}; }}; f"\n'
