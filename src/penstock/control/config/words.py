"""Words: the kinds of values that people type, as types for the models of the native form.

Each says in one sentence what it expects; the reader adds what it found and where. Numbers and switches are also taken
as texts, since what stands in an environment variable always is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from penstock.control.store.periods import BadDuration, parse_duration

EXPECTED = "expected"
REFERENCE_SCHEMA = {"type": "string", "pattern": r"^(env:|os\.environ/)", "description": "an environment variable"}


def wrong(what: str) -> PydanticCustomError:
    """The error of a value that is something else than `what`."""
    return PydanticCustomError(EXPECTED, "expected {what}", {"what": what})


# -- reading ----------------------------------------------------------------------------------------------------------

_SWITCHES = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|min|h|d|w)")
_SIZES = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmg]?i?b|)", re.IGNORECASE)


def text_of(value: Any) -> str:
    """A text that is not empty."""
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, str):
        raise wrong("a text that is not empty")
    hint = " (put it in quotes)" if isinstance(value, int | float) else ""
    raise wrong(f"a text{hint}")


def switch_of(value: Any) -> bool:
    """true or false; YAML 1.1's other words for them too."""
    if isinstance(value, bool):
        return value
    found = _SWITCHES.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise wrong("true or false")
    return found


def _figure(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        found = Decimal(repr(value) if isinstance(value, float) else str(value).strip().replace("_", ""))
    except InvalidOperation:
        return None
    return found if found.is_finite() and abs(found.adjusted()) < 40 else None


def number_of(value: Any) -> float:
    """A number of at least 0."""
    found = _figure(value)
    if found is None or found < 0:
        raise wrong("a number of 0 or more")
    return float(found)


def share_of(value: Any) -> float:
    """A number from 0 to 1."""
    found = _figure(value)
    if found is None or not 0 <= found <= 1:
        raise wrong("a number from 0 to 1")
    return float(found)


def whole_of(value: Any) -> int:
    """A whole number of at least 0; 1e3 is one."""
    found = _figure(value)
    if found is None or found < 0 or found != found.to_integral_value() or found > 2**53:
        raise wrong("a whole number of 0 or more")
    return int(found)


def positive_of(value: Any) -> int:
    """A whole number of at least 1."""
    try:
        found = whole_of(value)
    except PydanticCustomError:
        found = 0
    if not found:
        raise wrong("a whole number of 1 or more")
    return found


def amount_of(value: Any) -> Decimal:
    """US dollars, exactly as written."""
    found = _figure(value)
    if found is None or found < 0:
        raise wrong("an amount of US dollars, 0 or more")
    return found


def seconds_of(value: Any) -> float:
    """Seconds: a number, or a text with a unit ("500ms", "30s", "5m", "2h", "7d")."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is not None:
        return float(match[1]) * _UNITS[match[2]]
    found = _figure(value)
    if found is None or found < 0:
        raise wrong("seconds, or a time such as 500ms, 30s, 5m, 2h, 7d")
    return float(found)


def timeout_of(value: Any) -> float:
    """Seconds above 0."""
    found = seconds_of(value)
    if not found:
        raise wrong("seconds above 0, or a time such as 500ms, 30s, 5m")
    return found


def bytes_of(value: Any) -> int:
    """Bytes: a number, or a text with a unit ("64MB", "1GiB")."""
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is not None:
        return int(Decimal(match[1]) * _SIZES[match[2].lower()])
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise wrong("bytes, or a size such as 500kB, 64MB, 1GiB")
    return value


def period_of(value: Any) -> str:
    """A period after which a budget begins again: "1h", "1d", "7d", "1mo"."""
    try:
        parse_duration(value if isinstance(value, str) else "")
    except BadDuration:
        raise wrong("a period such as 60s, 30m, 24h, 7d, 1mo") from None
    return str(value).strip()


def moment_of(value: Any) -> float:
    """Unix seconds of a date or a time ("2027-01-31", "2027-01-31T18:00:00+01:00"). Without a zone it is UTC's; of a
    date, its beginning.
    """
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value.strip())
        except ValueError:
            found = None
        if found is not None:
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        raise wrong("a date or a time in quotes")
    raise wrong('a date or a time such as "2027-01-31" or "2027-01-31T18:00:00Z"')


def names_of(value: Any) -> tuple[str, ...]:
    """A list of texts; one text is a list of one."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        raise wrong("a list of texts")
    if not all(isinstance(each, str) and each for each in value):
        raise wrong("a list of texts (put what is none in quotes)")
    return tuple(value)


def mapping_of(value: Any) -> dict[str, Any]:
    """A mapping of anything."""
    if not isinstance(value, dict):
        raise wrong("a mapping")
    return value


def texts_of(value: Any) -> dict[str, str]:
    """A mapping of texts."""
    if not isinstance(value, dict):
        raise wrong("a mapping of names to texts")
    odd = [name for name, each in value.items() if not isinstance(each, str)]
    if odd:
        raise wrong(f"a mapping of names to texts; that of {odd[0]} is none (put it in quotes)")
    return value


def counts_of(value: Any) -> dict[str, int]:
    """A mapping of names to whole numbers."""
    if not isinstance(value, dict):
        raise wrong("a mapping of names to whole numbers")
    return {name: whole_of(each) for name, each in value.items()}


def table_of(value: Any) -> dict[str, tuple[str, ...]]:
    """A mapping of a name to names."""
    if not isinstance(value, dict):
        raise wrong('a mapping of a group to groups, such as {"gpt": ["claude"]}')
    return {name: names_of(each) for name, each in value.items()}


def one_of(*words: str) -> Callable[[Any], str]:
    """One of these words."""

    def read(value: Any) -> str:
        if value not in words:
            raise wrong(f"one of {', '.join(words)}")
        return str(value)

    return read


# -- the types --------------------------------------------------------------------------------------------------------


def _or_reference(schema: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [schema, REFERENCE_SCHEMA]})


_DURATION_SCHEMA = {
    "type": ["number", "string"],
    "minimum": 0,
    "pattern": r"^[0-9.]+ *(ms|s|m|min|h|d|w)$|^(env:|os\.environ/)",
}
_LIST_SCHEMA = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}
_TABLE_SCHEMA = {"type": "object", "additionalProperties": _LIST_SCHEMA}

Text = Annotated[str, BeforeValidator(text_of), WithJsonSchema({"type": "string", "minLength": 1})]
Switch = Annotated[bool, PlainValidator(switch_of), _or_reference({"type": "boolean"})]
Number = Annotated[float, PlainValidator(number_of), _or_reference({"type": "number", "minimum": 0})]
Share = Annotated[float, PlainValidator(share_of), _or_reference({"type": "number", "minimum": 0, "maximum": 1})]
Whole = Annotated[int, PlainValidator(whole_of), _or_reference({"type": "integer", "minimum": 0})]
Positive = Annotated[int, PlainValidator(positive_of), _or_reference({"type": "integer", "minimum": 1})]
Amount = Annotated[Decimal, PlainValidator(amount_of), _or_reference({"type": "number", "minimum": 0})]
Seconds = Annotated[float, PlainValidator(seconds_of), WithJsonSchema(_DURATION_SCHEMA)]
Timeout = Annotated[float, PlainValidator(timeout_of), WithJsonSchema(_DURATION_SCHEMA)]
Size = Annotated[int, PlainValidator(bytes_of), WithJsonSchema({"type": ["integer", "string"], "minimum": 0})]
Period = Annotated[str, PlainValidator(period_of), WithJsonSchema({"type": "string"})]
Moment = Annotated[float, PlainValidator(moment_of), WithJsonSchema({"type": "string"})]
Names = Annotated[tuple[str, ...], PlainValidator(names_of), WithJsonSchema(_LIST_SCHEMA)]
Mapped = Annotated[dict[str, Any], PlainValidator(mapping_of), WithJsonSchema({"type": "object"})]
Texts = Annotated[
    dict[str, str],
    PlainValidator(texts_of),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
]
Counts = Annotated[
    dict[str, int],
    PlainValidator(counts_of),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}}),
]
Table = Annotated[dict[str, tuple[str, ...]], PlainValidator(table_of), WithJsonSchema(_TABLE_SCHEMA)]
