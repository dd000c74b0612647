"""`penstock models [TEXT ...]`: models with their prices and capabilities, searched by all the words given.

First come the models to chat with; of these, first what the environment has a key for, then what its own maker serves,
then the others; alphabetical within. In a terminal the table keeps to its width: capabilities are told in short words
and cut, then columns give way. Into a pipe it goes whole, and `--json` has everything, exactly.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterable
from decimal import Decimal

from penstock.cli import CommandError
from penstock.cli.catalog import CHAT_MODES
from penstock.cli.table import fitted, table
from penstock.dialects import wire
from penstock.providers.catalog import makers
from penstock.providers.facts import current_facts
from penstock.providers.facts.table import Entry, entries
from penstock.providers.registry import default_registry
from penstock.providers.ways import providers_with_keys

_HEAD = ("MODEL", "PROVIDER", "MODE", "CONTEXT", "OUTPUT", "$/M IN", "$/M OUT", "CAN")
_RIGHT = frozenset({3, 4, 5, 6})
_EXPENDABLE = (2, 7, 4, 1, 3)
"""What a narrow terminal does without, in this order: mode, capabilities, longest output, provider, context."""

SHORT = {
    "function_calling": "tools",
    "vision": "vision",
    "reasoning": "reasoning",
    "response_schema": "schema",
    "prompt_caching": "cache",
    "pdf_input": "pdf",
    "audio_input": "audio",
    "video_input": "video",
    "audio_output": "speech",
    "web_search": "web",
    "computer_use": "computer",
}
"""The capabilities that the table shows, and their words there; `--json` lists all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock models`."""
    parser.add_argument(
        "text", nargs="*", default=[], help="words that the name, the provider or a capability must contain"
    )
    parser.add_argument("--provider", help="only this provider's")
    parser.add_argument("--mode", help="only this kind: chat, embedding, image_generation, rerank ...")
    parser.add_argument("--limit", type=_count, default=50, help="rows at most; 0 shows all (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON, one model a line")


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Print the models."""
    found = _found(arguments)
    shown = found[: arguments.limit] if arguments.limit else found
    if arguments.json:
        for entry in shown:
            print(wire.encode(entry).decode())
    else:
        print(_table(shown))
    if len(shown) < len(found):
        print(f"{len(found) - len(shown):,} more: add a word, or --limit 0", file=sys.stderr)
    return 0


def _found(arguments: argparse.Namespace) -> list[Entry]:
    """The models that fit. Raises CommandError where none does."""
    words = [word.lower() for word in arguments.text]
    provider = _provider(arguments.provider)
    chosen = list(entries(current_facts(), provider=provider, mode=arguments.mode))
    found = [entry for entry in chosen if all(word in _searched(entry) for word in words)]
    if found:
        return _ordered(found)
    if not chosen and arguments.mode:
        modes = sorted({entry.mode for entry in entries(current_facts(), provider=provider) if entry.mode})
        raise CommandError(f"no model of the mode {arguments.mode!r}; there are: {', '.join(modes) or 'none'}")
    if not chosen:
        raise CommandError(f"no facts are known of the models of {arguments.provider}")
    raise CommandError(f"no model fits {' '.join(arguments.text)!r}; search for less")


def _ordered(found: list[Entry]) -> list[Entry]:
    """In the order in which somebody who looks would want them: who looks, mostly wants to chat."""
    at_hand, made = frozenset(providers_with_keys(default_registry(), os.environ)), makers()

    def place(entry: Entry) -> tuple[bool, int, str, str]:
        rank = 0 if entry.provider in at_hand else 1 if entry.provider in made else 2
        return entry.mode not in CHAT_MODES, rank, entry.provider, entry.name

    return sorted(found, key=place)


def _provider(name: str | None) -> str | None:
    """The catalog's name of a provider. Raises CommandError with the nearest."""
    if name is None:
        return None
    found = default_registry().find(name)
    if found is not None:
        return found.name
    near = default_registry().nearest(name)
    raise CommandError(f"no provider is called {name!r}{'; did you mean ' + ' or '.join(near) + '?' if near else ''}")


def _searched(entry: Entry) -> str:
    words = (entry.name, entry.provider, entry.mode or "", *entry.capabilities, *_short(entry.capabilities))
    return " ".join(words).lower()


def _short(capabilities: Iterable[str]) -> list[str]:
    return [SHORT[name] for name in SHORT if name in capabilities]


def _table(shown: list[Entry]) -> str:
    rows = [_row(entry) for entry in shown]
    if not sys.stdout.isatty():
        return table(_HEAD, rows, _RIGHT)
    return fitted(_HEAD, rows, shutil.get_terminal_size().columns, _RIGHT, _EXPENDABLE)


def _row(entry: Entry) -> list[str]:
    return [
        entry.name,
        entry.provider,
        entry.mode or "",
        tokens(entry.context),
        tokens(entry.max_output),
        price(entry.input_price),
        price(entry.output_price),
        " ".join(_short(entry.capabilities)),
    ]


def tokens(count: int | None) -> str:
    """A number of tokens to be read at a glance: 128k, 1M, 1.05M."""
    if count is None:
        return "?"
    if count < 1000:
        return str(count)
    thousands = round(count / 1000)
    return f"{thousands}k" if thousands < 1000 else f"{count / 1_000_000:.2f}".rstrip("0").rstrip(".") + "M"


def price(text: str | None) -> str:
    """A price to be read at a glance: four digits that count; "?" where none is known."""
    if text is None:
        return "?"
    value = Decimal(text)
    rounded = value.quantize(Decimal(1).scaleb(min(0, value.adjusted() - 3))) if value else Decimal(0)
    shown = f"{rounded:f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
