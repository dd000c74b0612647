"""Beta names on their way out: those that the body needs, those that the caller gave (in the body or in the header
`anthropic-beta` of `extra_headers`), those that a client of the gateway sent. Each once, in the place where the host
takes them: the header `Endpoint.beta_header`, or the list `Endpoint.beta_field` of the body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from penstock.providers.betas import betas_of
from penstock.providers.endpoint import Endpoint
from penstock.providers.globs import fits
from penstock.types.notes import Note

FIELD = "anthropic_beta"
"""Where a body of Bedrock's `invoke` has them, and where a dialect puts those that its request asks for."""


def place_betas(
    body: dict[str, Any],
    target: Endpoint,
    headers: Mapping[str, str] | None = None,
    passed_on: str | None = None,
) -> tuple[Endpoint, tuple[Note, ...]]:
    """The target with the header, or `body` (which is ours) with the field; and what was left out.

    `headers` are the caller's own, who knows the host: all their names are sent. `passed_on` is the header of a client
    of the gateway, who need not know it: names that the host is known to refuse are left out, each with a note.
    """
    if not target.betas:
        return target, ()
    holder, field = _place(body, target.beta_field)
    given = body.pop(FIELD, None)
    within = holder.get(field) if field is not None else None
    needed = betas_of(holder, target.betas)
    welcome, refused = _sorted_out(split(passed_on), target.betas_refused)
    names = [*_names(given), *_names(within), *needed, *welcome]
    notes = tuple(Note("betas", "dropped", f"{target.provider} refuses {name!r}") for name in refused)
    if field is not None:
        names += split(_value(headers, target.beta_header))
        if names:
            _put(body, target.beta_field or "", list(dict.fromkeys(names)))
        return target, notes
    if not names:
        return target, notes
    return replace(target, headers=joined(target.headers, {target.beta_header: ",".join(names)})), notes


def accepted(passed_on: str, target: Endpoint, own: str | None = None) -> str:
    """The value of the header for a body that goes on as it came: the host's own names and those of the client that it
    is not known to refuse.
    """
    welcome, _ = _sorted_out(split(passed_on), target.betas_refused)
    return ",".join(dict.fromkeys([*split(own), *welcome]))


def _place(body: dict[str, Any], path: str | None) -> tuple[dict[str, Any], str | None]:
    """(the object of the model's own fields, the name of the list in it) for the path of the host's list."""
    outer, _, name = (path or "").rpartition(".")
    holder = body.get(outer) if outer else body
    return holder if isinstance(holder, dict) else {}, name or None


def _put(body: dict[str, Any], path: str, names: list[str]) -> None:
    """Set the list. The object that holds it may be the caller's, so it is made anew."""
    outer, _, name = path.rpartition(".")
    if not outer:
        body[name] = names
        return
    holder = body.get(outer)
    body[outer] = {**(holder if isinstance(holder, dict) else {}), name: names}


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _sorted_out(names: Iterable[str], refused: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """(those to send, those to leave out)."""
    listed = list(names)
    out = [name for name in listed if fits(name, refused)]
    return [name for name in listed if name not in out], out


def joined(*layers: Mapping[str, str] | None) -> dict[str, str]:
    """Headers, later layers winning whatever the case of a name; lists of betas are added up instead."""
    found: dict[str, str] = {}
    names: dict[str, str] = {}
    for layer in layers:
        for name, value in (layer or {}).items():
            known = names.setdefault(name.lower(), name)
            before = found.pop(known, None)
            names[name.lower()] = name
            if before is not None and name.lower().endswith("-beta"):
                value = ",".join(dict.fromkeys([*split(before), *split(value)]))
            found[name] = value
    return found


def split(value: str | None) -> list[str]:
    """The names in a header."""
    return [name.strip() for name in (value or "").split(",") if name.strip()]


def _value(headers: Mapping[str, str] | None, name: str) -> str | None:
    return next((value for key, value in (headers or {}).items() if key.lower() == name.lower()), None)
