"""What makes git log in with stubs: one credential helper for each host that a secret is bound to by HTTP's Basic.

Git sends its first request without credentials and asks a helper after the 401; the helper is a line of shell that says
the value of a variable, which is a stub. Where several secrets are bound at one host, each has the repositories below
its path. See git-scm.com/docs/gitcredentials.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from penstock.vault.held import Held
from penstock.vault.names import format_authority
from penstock.vault.values import DEFAULT_PORTS

USER = "x-access-token"
"""The user where none is known: servers that take tokens look at the password only (as GitHub documents)."""

_OF_A_REPOSITORY = re.compile(r"(?<=\.git)/.*|/info\Z")


class _Helper(NamedTuple):
    """Who logs in where: an origin, the repositories below a path of it, and two words of shell."""

    origin: str
    path: str
    user: str
    password: str


def git_config(held: Iterable[Held]) -> str:
    """Return the lines for a system-wide git configuration."""
    helpers = {helper for each in held if each.record.env for helper in _helpers(each, each.record.env)}
    logins = Counter(origin for origin, _, _ in {(each.origin, each.user, each.password) for each in helpers})
    return "".join(sorted({_section(each, with_path=logins[each.origin] > 1) for each in helpers}))


def _helpers(held: Held, variable: str) -> Iterable[_Helper]:
    for binding in held.bindings:
        rule = binding.rule
        if binding.slot.kind == "basic" and rule.scheme != "ssh" and "*" not in rule.host:
            origin = f"{rule.scheme}://{format_authority(rule.host, rule.port, DEFAULT_PORTS[rule.scheme])}"
            stub = f'"${variable}"'
            user, password = (stub, "x-oauth-basic") if binding.slot.name == "user" else (USER, stub)
            yield _Helper(origin, _repositories(rule.path), user, password)


def _repositories(pattern: str) -> str:
    """The path that all repositories of a pattern are below: git holds it against the path of a remote."""
    folder = pattern.partition("*")[0].rpartition("/")[0]
    return _OF_A_REPOSITORY.sub("", folder)


def _section(helper: _Helper, *, with_path: bool) -> str:
    """A stub is said as it is (`printf`): a shell's `echo` reads backslashes, and words outside of quotes."""
    place = helper.origin + (helper.path if with_path else "")
    said = f"printf 'username=%s\\npassword=%s\\n' {helper.user} {helper.password}"
    shell = f'!f() {{ test "$1" = get && {said}; }}; f'
    return f'[credential "{_quoted(place)}"]\n\thelper = "{_quoted(shell)}"\n'


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
