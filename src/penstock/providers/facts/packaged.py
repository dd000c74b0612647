"""Packaged: the facts that come with the package, decoded one model at a time.

`models.jsonl` is read whole on the first look-up, since it is small; its index of names is decoded then, and of the
facts only the two lines that a model refers to. `tools/build_facts.py` makes the file and describes its form. Nothing
is read on import.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec


class _Header(msgspec.Struct, frozen=True):
    fields: list[str]
    hosts: list[str]
    facts: int
    prices: int
    models: int
    rules: list[dict[str, Any]]


_SET = msgspec.json.Decoder(list[Any], float_hook=Decimal)
_NAMES = msgspec.json.Decoder(list[tuple[str, int, int, int]])
_HEADER = msgspec.json.Decoder(_Header)


class PackagedFacts:
    """Rows by model name, out of the text of `models.jsonl`."""

    def __init__(self, text: bytes) -> None:
        lines = text.rstrip(b"\n").split(b"\n")
        header = _HEADER.decode(lines[0])
        first_prices, first_model = 1 + header.facts, 1 + header.facts + header.prices
        self.rules = header.rules
        self.hosts = header.hosts
        self._fields = header.fields
        self._facts = lines[1:first_prices]
        self._prices = lines[first_prices:first_model]
        models = _NAMES.decode(b"[" + b",".join(lines[first_model:]) + b"]")
        self._index = {model[0]: model for model in models}

    def __contains__(self, name: str) -> bool:
        return name in self._index

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def row(self, name: str) -> dict[str, Any]:
        """The row of a model, as LiteLLM's field names -> values: numbers are int or Decimal, exactly as published.
        Raises KeyError."""
        _, host, facts, prices = self._index[name]
        row = self._decode(self._facts[facts])
        row.update(self._decode(self._prices[prices]))
        row["litellm_provider"] = self.hosts[host]
        return dict(sorted(row.items()))

    def host(self, name: str) -> str:
        """The `litellm_provider` of a model. Raises KeyError."""
        return self.hosts[self._index[name][1]]

    def same_prices(self, one: str, other: str) -> bool:
        """Whether two models have the same prices. Raises KeyError."""
        return self._index[one][3] == self._index[other][3]

    def _decode(self, line: bytes) -> dict[str, Any]:
        found = _SET.decode(line)
        return {self._fields[number]: value for number, value in zip(found[::2], found[1::2], strict=True)}


@cache
def packaged_facts() -> PackagedFacts:
    """The facts of the package, read on the first call. They never change."""
    text = pkgutil.get_data("penstock.providers.facts", "models.jsonl")
    if text is None:  # a loader that has no files: the package was taken apart
        raise FileNotFoundError("penstock/providers/facts/models.jsonl is missing: install the package again")
    return PackagedFacts(text)
