"""The reference page of a provider's fields, out of the types of a row; tools/build_reference.py writes it."""

from __future__ import annotations

from typing import get_args

import msgspec
from msgspec.structs import FieldInfo

from penstock.providers.auth.kinds import AuthKind
from penstock.providers.provider import ModelPrefix, ModelRule, Provider, RateLimitHeaders, Route, Setting
from penstock.types.profile import Profile
from tools import docstrings
from tools.signatures import written
from tools.tables import code, table

KINDS: tuple[type[msgspec.Struct], ...] = (
    Provider,
    Setting,
    Route,
    ModelRule,
    ModelPrefix,
    RateLimitHeaders,
    *get_args(AuthKind),
    Profile,
)

HEAD = """\
A provider is one row of data. It is given as keyword arguments of `register_provider(name, ...)`, as a mapping out of a
config file, or as a `Provider` in an entry point ([how](../how-to/providers.md)). The defaults describe a host that
copies OpenAI's API. Templates are texts with `{name}` for a setting; globs are the shell's.
"""


def page(note: str) -> str:
    """The whole page."""
    return "\n".join(["# Fields of a provider\n", note, HEAD, *map(_kind, KINDS)])


def _kind(kind: type[msgspec.Struct]) -> str:
    """One type: what it is and what its fields mean, then their types and defaults."""
    tag = kind.__struct_config__.tag
    title = f"## {kind.__name__}" + (f': `"kind": "{tag}"`' if tag else "")
    rows = [(code(field.name), code(written(field.type)), _default(field)) for field in msgspec.structs.fields(kind)]
    parts = [title, docstrings.markdown(docstrings.of(kind))]
    if rows:
        parts.append(table(("field", "type", "default"), rows))
    return "\n\n".join(parts).rstrip() + "\n"


def _default(field: FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if isinstance(value, msgspec.Struct):
        return code(f"{type(value).__name__}()")
    return "empty" if value in ((), {}, frozenset(), "") else code(repr(value))
