"""The page that Prometheus reads: totals as text. Pure.

Two formats: Prometheus' own (version 0.0.4, the default) and OpenMetrics 1.0, for whoever prefers it in `Accept`.
They differ in how a counter's family is named, in units, in how help is escaped, and in the last line.
https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from penstock.gateway.metrics.merging import MERGE, Labels, Totals
from penstock.gateway.metrics.tables import PLAIN, TABLES, Family

Format = Literal["text", "openmetrics"]

CONTENT_TYPES: dict[Format, str] = {
    "text": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
_MEDIA_TYPES: dict[str, Format] = {
    "application/openmetrics-text": "openmetrics",
    "text/plain": "text",
    "text/*": "text",
    "*/*": "text",
}


def preferred_format(accept: str) -> Format:
    """What an `Accept` header asks for: the known media type of the highest quality, the first of equals; Prometheus'
    own where it names none (a scraper that can read neither would not ask here).
    """
    best: Format = "text"
    best_quality = 0.0
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        found = _MEDIA_TYPES.get(media_type)
        quality = _quality(parameters)
        if found is not None and quality > best_quality:
            best, best_quality = found, quality
    return best


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def render(totals: Totals, families: Sequence[Family], format: Format = "text") -> str:
    """The page: each family that has something to show, under its name. Families of one name stand one after the other
    in `families`, and make one.
    """
    lines: list[str] = []
    last = ""
    for family in families:
        samples = list(_samples(family, totals))
        if not samples:
            continue
        if family.name != last:
            lines += _head(family, format)
            last = family.name
        lines += samples
    if format == "openmetrics":
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


def _head(family: Family, format: Format) -> list[str]:
    if format == "openmetrics":
        unit = [f"# UNIT {family.name} {family.unit}"] if family.unit else []
        help_text = _escaped(family.help)
        return [f"# TYPE {family.name} {family.kind}", *unit, f"# HELP {family.name} {help_text}"]
    name = family.name + _SUFFIX[family.kind]
    help_text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    return [f"# HELP {name} {help_text}", f"# TYPE {name} {family.kind}"]


_SUFFIX = {"counter": "_total", "gauge": "", "histogram": ""}


# -- samples --------------------------------------------------------------------------------------------------------


def _samples(family: Family, totals: Totals) -> Iterator[str]:
    if not family.table:
        yield from _plain_samples(family, totals)
        return
    table = TABLES[family.table]
    bounds = table.column(family.column).bounds if "+" not in family.column else ()
    for labels, numbers in sorted(_added_up(family, totals).items()):
        pairs = [*zip(family.labels, labels, strict=True), *family.fixed]
        if bounds:
            yield from _histogram(family.name, pairs, bounds, numbers)
        else:
            yield f"{family.name}{_SUFFIX[family.kind]}{_braces(pairs)} {_number(sum(numbers), family.digits)}"


def _plain_samples(family: Family, totals: Totals) -> Iterator[str]:
    source = PLAIN[family.plain or family.name]
    names = ("worker",) if source.per_worker else source.labels
    shown = ("worker",) if family.per_worker else family.labels
    places = [names.index(family.sources.get(label, label)) for label in shown]
    found: dict[Labels, float] = {}
    for (name, labels), value in (totals.counters if source.kind == "counter" else totals.gauges).items():
        if name == source.name:
            key = tuple(labels[place] for place in places)
            found[key] = MERGE[source.merge]((found[key], value)) if key in found else value
    for labels, value in sorted(found.items()):
        pairs = list(zip(shown, labels, strict=True))
        yield f"{family.name}{_SUFFIX[family.kind]}{_braces(pairs)} {_number(value, family.digits)}"


def _added_up(family: Family, totals: Totals) -> dict[Labels, list[Any]]:
    """The numbers of its columns, added up over all rows that look the same by the labels of the family."""
    table = TABLES[family.table]
    columns = [(table.at(name), table.column(name).width) for name in family.column.split("+")]
    places = [table.labels.index(family.sources.get(label, label)) for label in family.labels]
    words = [family.words.get(label, {}) for label in family.labels]
    found: dict[Labels, list[Any]] = {}
    for labels, row in totals.rows[table.name].items():
        if not _counts(family, labels[table.labels.index(family.where)] if family.where else "-"):
            continue
        shown = tuple(said.get(labels[at], labels[at]) for at, said in zip(places, words, strict=True))
        numbers = [number for at, width in columns for number in row[at : at + width]]
        known = found.get(shown)
        found[shown] = numbers if known is None else [a + b for a, b in zip(known, numbers, strict=True)]
    return found


def _counts(family: Family, value: str) -> bool:
    """Whether a row whose label `where` has this value counts in the family."""
    return value == family.only if family.only else bool(value)


def _histogram(name: str, pairs: list[tuple[str, str]], bounds: tuple[float, ...], numbers: list[Any]) -> Iterator[str]:
    """A series a bucket, each with all that is at or below its bound; nothing at all where nothing was counted."""
    total, counts = numbers[0], numbers[1:]
    if not any(counts):
        return
    so_far = 0
    for bound, count in zip((*map(_number, bounds), "+Inf"), counts, strict=True):
        so_far += count
        yield f"{name}_bucket{_braces([*pairs, ('le', bound)])} {so_far}"
    yield f"{name}_sum{_braces(pairs)} {_number(total)}"
    yield f"{name}_count{_braces(pairs)} {so_far}"


def _braces(pairs: Iterable[tuple[str, str]]) -> str:
    """`{name="value",...}`. An empty value is the same as no label, so it is left out."""
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs if value)
    return f"{{{inside}}}" if inside else ""


def _escaped(text: str) -> str:
    safe = text.encode("utf-8", "replace").decode("utf-8")
    return safe.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float, digits: int = 0) -> str:
    """A number as both formats spell it; an integer of `digits` decimal places exactly."""
    if not digits:
        return repr(value)
    sign, text = ("-", str(-int(value))) if value < 0 else ("", str(int(value)))
    text = text.rjust(digits + 1, "0")
    fraction = text[-digits:].rstrip("0")
    return sign + text[:-digits] + (f".{fraction}" if fraction else "")
