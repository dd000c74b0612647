"""Reading a stored value: a JSON document with known fields, where nothing is guessed and nothing is shown.

A field that nobody knows is an error that names the nearest one, for a typing error in `scopes` would else widen what a
token may do. A field may also be given as an option (`--option scopes=...`), where it is no secret; never in both
places. Errors name fields, and never repeat a value.
"""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from penstock.vault.credentials.contract import bad_value

MAX_VALUE = 64 * 1024
"""Bytes of a stored value; a key file has 3 KiB."""

MIN_SECRET = 8
"""Bytes below which a secret cannot be told from ordinary text in an answer, so that scrubbing would ruin it."""

Spec = TypeVar("Spec", bound=msgspec.Struct)


def read(spec: type[Spec], name: str, value: bytes, options: Mapping[str, str], *, secret: Sequence[str] = ()) -> Spec:
    """Read the document `value` and the options into `spec`.

    Args:
        spec: a struct whose fields are the document's; lists may be given as words with spaces or commas between.
        name: the secret's name, for errors.
        value: JSON in UTF-8, at most MAX_VALUE bytes.
        options: what was said outside of the document.
        secret: fields that may not be options, for options are shown.

    Raises:
        Refusal: `bad_secret`, naming the field.
    """
    return convert(spec, name, merged(spec, name, document(name, value), options, secret=secret))


def document(name: str, value: bytes) -> dict[str, object]:
    """Return the object that `value` is. Raises Refusal where it is none, or says a field twice."""
    if len(value) > MAX_VALUE:
        raise bad_value(name, f"it has more than {MAX_VALUE} bytes")
    try:
        found = json.loads(value, object_pairs_hook=_unique)
    except _Twice as twice:
        raise bad_value(name, f"it says the field {twice.field!r} twice") from None
    except (ValueError, RecursionError):
        raise bad_value(name, "it is not a JSON document", "Give an object: {...}, in UTF-8.") from None
    if not isinstance(found, dict):
        raise bad_value(name, "it is not a JSON object", "Give an object: {...}.")
    return found


def merged(
    spec: type[msgspec.Struct],
    name: str,
    found: Mapping[str, object],
    options: Mapping[str, str],
    *,
    secret: Sequence[str] = (),
) -> dict[str, object]:
    """Return the document with the options in it. Raises Refusal at unknown, doubled and secret ones."""
    known = tuple(field.encode_name for field in msgspec.structs.fields(spec))
    for field in (*found, *options):
        known_or_refuse(name, field, known)
    for option in options:
        if option in found:
            raise bad_value(name, f"{option!r} is both in the document and an option", "Say it in one place.")
        if option in secret:
            raise bad_value(name, f"{option!r} is secret, and options are shown", "Put it into the JSON document.")
    return {**found, **options}


def known_or_refuse(name: str, field: str, known: Sequence[str], what: str = "field") -> None:
    """Refuse the field (option, slot, kind: `what`) that nobody knows, with the nearest that somebody does."""
    if field in known:
        return
    near = get_close_matches(field, known, n=1, cutoff=0.5)
    fix = f"The {what}s are: {', '.join(known)}." if known else f"It has no {what}s: leave it out."
    shown = repr(field) if len(field) <= 40 and field.isprintable() else "of such a name"
    raise bad_value(name, f"it has no {what} {shown}", f"Did you mean {near[0]!r}?" if near else fix)


def convert(spec: type[Spec], name: str, found: Mapping[str, object]) -> Spec:
    """Make `spec` of checked fields. Raises Refusal naming the first that is missing or of the wrong type."""
    for field in msgspec.structs.fields(spec):
        if field.required and field.encode_name not in found:
            raise bad_value(name, f"the field {field.encode_name!r} is missing")
    made: dict[str, object] = {}
    for field in msgspec.structs.fields(spec):
        if field.encode_name in found:
            made[field.name] = _one(name, field, found[field.encode_name])
    return spec(**made)


def _one(name: str, field: msgspec.structs.FieldInfo, given: object) -> object:
    if isinstance(given, str) and not isinstance(field.default, str):
        given = _words(field, given)
    try:
        return msgspec.convert(given, field.type, strict=not isinstance(given, str))
    except (msgspec.ValidationError, ValueError):
        raise bad_value(name, f"the field {field.encode_name!r} is of the wrong type") from None


def _words(field: msgspec.structs.FieldInfo, given: str) -> object:
    """Lists are words, mappings `name=value` words, where they are given as text."""
    if isinstance(field.default, tuple):
        return given.replace(",", " ").split()
    if field.default_factory is dict:
        return dict(word.partition("=")[::2] for word in given.replace(",", " ").split())
    return given


class _Twice(Exception):
    def __init__(self, field: str) -> None:
        super().__init__()
        self.field = field[:40]


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


def plain(name: str, value: bytes) -> bytes:
    """Check bytes that will stand in a head or a query: no control characters, long enough to be found again.

    Raises:
        Refusal: `bad_secret`.
    """
    if len(value) > MAX_VALUE:
        raise bad_value(name, f"it has more than {MAX_VALUE} bytes")
    if any(byte < 0x20 or byte == 0x7F for byte in value):
        fix = 'Give it without the line feed at its end: printf %s "$TOKEN" | penstock secrets set ...'
        raise bad_value(name, "it holds a line feed or another control character", fix)
    if value != value.strip():
        raise bad_value(name, "it begins or ends with a space")
    return long_enough(name, value)


def long_enough(name: str, value: bytes, field: str = "") -> bytes:
    """Refuse what could not be told from ordinary text: fewer than MIN_SECRET bytes, or one byte again and again."""
    what = f"the field {field!r}" if field else "it"
    if len(value) < MIN_SECRET or len(set(value)) < 3:
        fix = "Ask the service for a longer one."
        raise bad_value(name, f"{what} is so short or uniform that it cannot be kept out of answers", fix)
    return value


def https_url(name: str, field: str, url: str) -> str:
    """Check an address that the vault itself will call: https, a host, no user, no fragment, only printable ASCII."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme == "https" and parts.hostname and not parts.username and not parts.fragment
        fine = fine and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine or not all("!" <= character <= "~" for character in url):
        raise bad_value(name, f"the field {field!r} is not an address like https://host/path")
    return url


def one_of(name: str, field: str, given: str, choices: Sequence[str]) -> str:
    """Return `given` where it is one of the choices. Raises Refusal naming them."""
    if given not in choices:
        raise bad_value(name, f"the field {field!r} is none of {', '.join(choices)}")
    return given


def within(name: str, field: str, given: float, low: float, high: float) -> float:
    """Return `given` where it lies between the bounds. Raises Refusal naming them."""
    if not low <= given <= high:
        raise bad_value(name, f"the field {field!r} must be between {low:g} and {high:g}")
    return given
