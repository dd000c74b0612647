"""`penstock models [TEXT ...]`: models with their prices and capabilities, searched by all the words given."""

from __future__ import annotations

import argparse
import sys

from penstock.cli import CommandError
from penstock.cli.table import table
from penstock.dialects import wire
from penstock.providers.facts import current_facts
from penstock.providers.facts.table import Entry, entries

_HEAD = ("MODEL", "PROVIDER", "MODE", "CONTEXT", "OUTPUT", "$/M IN", "$/M OUT", "CAN")
_RIGHT = frozenset({3, 4, 5, 6})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock models`."""
    parser.add_argument("text", nargs="*", help="words that the name, the provider or a capability must contain")
    parser.add_argument("--provider", help="only this provider's")
    parser.add_argument("--mode", help="only this kind: chat, embedding, image_generation, rerank ...")
    parser.add_argument("--limit", type=int, default=50, help="rows at most; 0 shows all (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON, one model a line")


def run(arguments: argparse.Namespace) -> int:
    """Print the models."""
    words = [word.lower() for word in arguments.text]
    found = [
        entry
        for entry in entries(current_facts(), provider=arguments.provider, mode=arguments.mode)
        if all(word in _searched(entry) for word in words)
    ]
    if not found:
        raise CommandError(f"no model fits; `penstock models {words[0][:3] if words else ''}` searches for less")
    shown = found[: arguments.limit] if arguments.limit else found
    if arguments.json:
        for entry in shown:
            print(wire.encode(entry).decode())
        return 0
    print(table(_HEAD, [_row(entry) for entry in shown], _RIGHT))
    if len(shown) < len(found):
        print(f"{len(found) - len(shown)} more: add a word, or --limit 0", file=sys.stderr)
    return 0


def _searched(entry: Entry) -> str:
    return f"{entry.name} {entry.provider} {entry.mode} {' '.join(entry.capabilities)}".lower()


def _row(entry: Entry) -> list[str]:
    return [
        entry.name,
        entry.provider,
        entry.mode or "",
        _count(entry.context),
        _count(entry.max_output),
        entry.input_price or "?",
        entry.output_price or "?",
        " ".join(entry.capabilities),
    ]


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else f"{tokens:,}"
