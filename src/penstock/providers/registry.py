"""Registry: every provider by name. Built-in rows, rows of plug-ins and rows of the user go through the same door, and
a bad one is refused there.

A registry is a value of its own: a client may have one with three providers in it. The SDK's functions share one per
process (`default_registry`), as programs share one configuration of `logging`: this, which is only ever added to, and
the shared facts (facts/default.py) are the only mutable globals of this package.

Plug-ins offer rows by the entry point group `penstock.providers`: a Provider, a sequence of them, or a function that
returns either. They are loaded by `load_plugins()`, which a server calls as it starts, else on the first name that the
registry does not know or the first look at all rows; never on import. A row of the user's stands in for a plug-in's of
the same name; one that a plug-in cannot offer is an error that names its package, each time, until it is mended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from threading import RLock
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from msgspec import Struct

from penstock.providers.catalog import built_in_providers
from penstock.providers.errors import ProviderError
from penstock.providers.provider import Provider
from penstock.providers.urls import belongs_to, closeness
from penstock.providers.validate import validate

if TYPE_CHECKING:  # it loads the parsers of e-mail, which nobody needs before a name is unknown
    from importlib.metadata import EntryPoint

PLUGIN_GROUP = "penstock.providers"


def _installed_plugins() -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points

    return entry_points(group=PLUGIN_GROUP)


class _Table(Struct, frozen=True):
    """Rows by name, and the names and aliases that lead to them. Never changed: a registration makes a new one."""

    rows: Mapping[str, Provider]
    names: Mapping[str, str]

    @classmethod
    def of(cls, providers: Iterable[Provider]) -> _Table:
        rows: dict[str, Provider] = {}
        names: dict[str, str] = {}
        for provider in providers:
            _enter(rows, names, provider)
        return cls(rows, names)

    def with_row(self, provider: Provider, *, replace: bool) -> _Table:
        names = {word: owner for word, owner in self.names.items() if not replace or owner != provider.name}
        rows = {name: row for name, row in self.rows.items() if name in names}
        _enter(rows, names, provider)
        return _Table(rows, names)


def _enter(rows: dict[str, Provider], names: dict[str, str], provider: Provider) -> None:
    """Raises ProviderError (duplicate_provider) where a word is taken."""
    for word in dict.fromkeys((provider.name, *provider.aliases)):
        if word in names:
            message = f"The provider name {word!r} is taken by {names[word]!r}."
            fix = "Pass replace=True to stand in for it." if word == provider.name else "Choose another alias."
            raise ProviderError("duplicate_provider", message, fix, provider=provider.name)
        names[word] = provider.name
    rows[provider.name] = provider


class Registry:
    """Providers by name and alias.

    providers   rows to begin with; None: the built-in catalog, which is loaded when it is first needed
    plugins     returns the entry points to load on a miss; None: those of the installed packages. `lambda: ()` for no
                plug-ins
    """

    def __init__(
        self,
        providers: Iterable[Provider] | None = None,
        *,
        plugins: Callable[[], Iterable[EntryPoint]] | None = None,
    ) -> None:
        self._given = None if providers is None else tuple(providers)
        self._plugins = plugins or _installed_plugins
        self._plugins_loaded = False
        self._plugins_failure: ProviderError | None = None
        self._registered: set[str] = set()
        self._loaded: _Table | None = None
        self._lock = RLock()

    def register(self, provider: Provider, *, replace: bool = False) -> Provider:
        """Add a row. Names and aliases that are taken are refused, unless `replace` says that the row stands in for the
        one of the same name.

        Raises ProviderError: malformed_provider, duplicate_provider.
        """
        validate(provider)
        with self._lock:
            self._loaded = self._table.with_row(provider, replace=replace)
            self._registered.add(provider.name)
        return provider

    def register_mapping(self, name: str, row: Mapping[str, Any], *, replace: bool = False) -> Provider:
        """Add a row as it stands in a config file. Raises as `register` does."""
        return self.register(provider_from_mapping(name, row), replace=replace)

    def get(self, name: str) -> Provider:
        """The provider of this name or alias. Raises ProviderError (unknown_provider) that names the nearest ones."""
        provider = self.find(name)
        if provider is None:
            self._unknown(name)
        return provider

    def find(self, name: str) -> Provider | None:
        """The provider of this name or alias, or None. A name that is not known makes the plug-ins load."""
        if name not in self._table.names:
            self.load_plugins()
        table = self._table
        return table.rows.get(table.names.get(name, ""))

    def find_by_host(self, base_url: str) -> Provider | None:
        """The provider whose host `base_url` names, or None. The most exact pattern wins."""
        best = max(self, key=lambda provider: closeness(base_url, provider), default=None)
        return best if best is not None and belongs_to(base_url, best) else None

    def nearest(self, name: str, count: int = 3) -> list[str]:
        """Names and aliases that look like `name`, best first, one a provider."""
        from difflib import get_close_matches

        names = self._table.names
        known = get_close_matches(name.lower(), list(names), n=count * 3, cutoff=0.6)
        return list(dict.fromkeys(names[each] for each in known))[:count]

    def load_plugins(self) -> None:
        """Load the rows of plug-ins, unless they are. Never only a part of them, and never a silent gap.

        Raises ProviderError (malformed_provider) that names the package of a plug-in that fails.
        """
        if self._plugins_loaded:
            return
        with self._lock:
            if self._plugins_failure is not None:
                raise copy(self._plugins_failure)
            if not self._plugins_loaded:
                self._load_plugins()

    def _load_plugins(self) -> None:
        try:
            offered = [(entry, row) for entry in self._plugins() for row in _rows_of(entry)]
            table = self._table  # now, since loading may have registered something
            for entry, row in offered:
                if row.name not in self._registered:
                    table = _with_row_of(entry, table, row)
        except ProviderError as error:
            self._plugins_failure = error
            raise copy(error) from error.__cause__
        self._loaded, self._plugins_loaded = table, True

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None

    def __iter__(self) -> Iterator[Provider]:
        self.load_plugins()
        return iter(self._table.rows.values())

    def __len__(self) -> int:
        self.load_plugins()
        return len(self._table.rows)

    @property
    def _table(self) -> _Table:
        if self._loaded is None:
            with self._lock:
                self._loaded = _Table.of(built_in_providers() if self._given is None else self._given)
        return self._loaded

    def _unknown(self, name: str) -> NoReturn:
        near = self.nearest(name)
        message = f"There is no provider {name!r}."
        fix = f"Did you mean {' or '.join(near)}?" if near else "See docs/reference/providers.md for the list."
        raise ProviderError("unknown_provider", message, fix, provider=name)


def provider_from_mapping(name: str, row: Mapping[str, Any]) -> Provider:
    """A row out of decoded YAML, TOML or JSON. Raises ProviderError (malformed_provider) that names the field."""
    try:
        return msgspec.convert({"name": name, **row}, Provider)
    except (msgspec.ValidationError, TypeError) as error:
        message = f"The provider {name!r} is not described correctly: {error}."
        fix = "Its fields are those of penstock.providers.provider.Provider."
        raise ProviderError("malformed_provider", message, fix, provider=name) from None


def registry_from_config(rows: Mapping[str, Mapping[str, Any]], *, base: Registry | None = None) -> Registry:
    """A registry with the `providers:` section of a config file in it (name -> row), beside the rows of `base` (None:
    the built-in ones).

    A row of the config may stand in for a built-in one of the same name. Raises as `Registry.register` does.
    """
    registry = Registry() if base is None else Registry(base, plugins=tuple)
    for name, row in rows.items():
        registry.register_mapping(name, row, replace=True)
    return registry


def default_registry() -> Registry:
    """The registry that the SDK's functions use where a client was given none."""
    return _DEFAULT


def register_provider(
    provider: Provider | str, row: Mapping[str, Any] | None = None, *, replace: bool = False, **fields: Any
) -> Provider:
    """Add a provider to the default registry: a Provider, or a name with its fields.

        register_provider("acme", base_url="https://llm.acme.example/v1", key_environment=["ACME_API_KEY"])

    provider    a Provider, or the name of one
    row         its fields as a mapping, such as a config file has
    replace     True: it may stand in for one of the same name
    **fields    its fields: docs/reference/provider-fields.md

    Raises ProviderError: malformed_provider, duplicate_provider.
    """
    if isinstance(provider, str):
        return _DEFAULT.register_mapping(provider, {**(row or {}), **fields}, replace=replace)
    return _DEFAULT.register(provider, replace=replace)


def _rows_of(entry: EntryPoint) -> tuple[Provider, ...]:
    try:
        offered = entry.load()
        offered = offered() if callable(offered) and not isinstance(offered, Provider) else offered
        rows = (offered,) if isinstance(offered, Provider) else tuple(offered)
    except (
        Exception
    ) as error:  # a plug-in is foreign code: whatever it raises is its own, and is reported under its name
        raise _unloadable(entry, f"{type(error).__name__}: {error}") from error
    for row in rows:
        if not isinstance(row, Provider):
            raise _unloadable(entry, f"it offers {type(row).__name__}, not Provider")
    return rows


def _with_row_of(entry: EntryPoint, table: _Table, row: Provider) -> _Table:
    try:
        validate(row)
        return table.with_row(row, replace=False)
    except ProviderError as error:
        raise _unloadable(entry, error.message) from error


def _unloadable(entry: EntryPoint, why: str) -> ProviderError:
    """The error for a plug-in, which names the package that it came with."""
    package = f"of the package {entry.dist.name} {entry.dist.version} " if entry.dist is not None else ""
    message = f"The provider plug-in {entry.name!r} {package}({entry.value}) could not be loaded: {why.rstrip('.')}."
    fix = f"Mend it, or `pip uninstall {entry.dist.name}`." if entry.dist is not None else "Mend or uninstall it."
    return ProviderError("malformed_provider", message, fix, provider=entry.name)


_DEFAULT = Registry()
