"""The reference page of `penstock redteam`, out of its probes. tools/build_reference.py writes it."""

from __future__ import annotations

import re

from penstock.redteam.probe import Code, Outside, Probe, Shell, Wire
from penstock.redteam.probes import PROBES
from penstock.redteam.threats import SECTIONS, THREATS
from tools.tables import code, table

HOW = {Wire: "bytes", Code: "program", Shell: "program", Outside: "from outside"}


def page(note: str) -> str:
    """The whole page."""
    parts = [
        "# Probes of the red team\n",
        note,
        f"`penstock redteam` has {len(PROBES)} probes. Each belongs to a row of the threat model, and passes for what"
        " was seen: the attack arrived where it is decided, and the defence did what the row says. For all of them"
        " holds: no canary came into the sandbox, in any encoding, and none reached a host that it is not bound to."
        " How to use it: [try to steal a secret](../how-to/try-to-steal-a-secret.md).\n",
        "*bytes*: written on a connection, by the proxy, without it, or past it. *program*: run inside the sandbox."
        " *from outside*: looked at, or done, by the examiner.\n",
    ]
    for section in SECTIONS:
        parts.append(f"## {section}\n")
        for name, row in THREATS.items():
            if row.section == section:
                parts += [f"### {name}\n", _sentence(row.attack), _row(name)]
    return "\n".join(parts)


def _row(name: str) -> str:
    row = THREATS[name]
    if row.instead:
        return f"Defence: {row.defence}. No probe: {row.instead}.\n"
    rows = [(code(probe.id), _text(probe.tries), _how(probe)) for probe in PROBES if probe.row == name]
    return f"Defence: {row.defence}.\n\n{table(('probe', 'tries', 'how'), rows)}\n"


def _how(probe: Probe) -> str:
    how = HOW[type(probe.attack)]
    return how if probe.phase == "live" else f"{how}, when {probe.phase}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}.\n"


def _text(text: str) -> str:
    """Text of a cell: marks of the vault's own, and characters that Markdown or a page would obey, are shown."""
    shown = re.sub(r"[^\x20-\x7e]", lambda match: f"\\u{ord(match[0]):04x}", text)
    return re.sub(r"([\\`*_<>\[\]])", r"\\\1", shown)
