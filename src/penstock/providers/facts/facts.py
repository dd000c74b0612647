"""Facts: what is known of models, by name. A value: rows of the user lie over the packaged ones, and `with_rows` gives
another value.

    facts.find("gpt-4o")                              Row(name="gpt-4o", found="exact", ...)
    facts.find("eu.anthropic.claude-...")             the row of that place, or one that costs the same
    facts.prices("azure/my-deployment")               None: unknown
    facts.prices("my-deployment", provider="azure", base_model="gpt-4o")

A price is never wrong: where the name asked for might cost something else than the row that is nearest to it, the row
comes without prices, and `doubt` says why. `names.py` has the rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from penstock.providers.errors import ProviderError
from penstock.providers.facts import names
from penstock.providers.facts.packaged import PackagedFacts, packaged_facts
from penstock.providers.facts.row import Found, Limits, Row, without_prices
from penstock.providers.prices import Prices, is_price_field, prices_of

_LONGEST_NAME = 500
"""Characters of a name that a row is looked for: no row of ours has a fifth of them, and looking costs their number."""
_LONGEST_PROPOSAL = 60
_MOST_ANSWERS = 1024


class Facts:
    """Rows by model name: those of `user` over those of `packaged` (None: the ones that come with the package)."""

    def __init__(self, user: Mapping[str, Row] | None = None, packaged: PackagedFacts | None = None) -> None:
        self._user = dict(user or {})
        self._given = packaged
        self._rows: dict[str, Row] = {}
        self._prices: dict[str, Prices | None] = {}
        self._answers: dict[tuple[str, str | None, str | None], Prices | Facts | None] = {}

    @property
    def _packaged(self) -> PackagedFacts:
        return packaged_facts() if self._given is None else self._given

    # -- one model ----------------------------------------------------------------------------------------------------

    def find(self, name: str, provider: str | None = None, *, base_model: str | None = None) -> Row | None:
        """The row of a model, or None if nothing is known of it.

        `provider` is the host that serves it, where known, and `name` then what that host calls it: a row of another
        host is never taken. `base_model` says what a deployment with a name of its own runs (Azure); then `name` does
        not matter, and a host that `base_model` names itself goes before `provider`.
        """
        if not base_model:
            return self._find(name, provider)
        row = self._find(base_model, self._split(base_model, None)[1] or provider)
        return self._find(base_model, None) if row is None or row.found == "rule" else row

    def _find(self, asked: str, provider: str | None) -> Row | None:
        if not asked or len(asked) > _LONGEST_NAME:
            return None
        provider = provider or None
        model, host = self._split(asked, provider)
        keys = list(dict.fromkeys(_keys(asked, model, host, told=provider is not None)))
        provider = host
        return (
            self._by_key(keys, provider, {asked, model})
            or self._by_folded_key(keys, provider)
            or self._by_snapshot(keys, provider)
            or self._by_place(keys, provider)
            or self._by_rule(asked, provider)
        )

    def prices(self, name: str, provider: str | None = None, *, base_model: str | None = None) -> Prices | None:
        """The price list of a model, or None where it is not certain. The same value each time."""
        asked = (name, provider, base_model)
        known = self._answers.get(asked, self)
        if not isinstance(known, Facts):
            return known
        row = self.find(name, provider, base_model=base_model)
        prices = self.prices_of_row(row) if row else None
        if len(self._answers) >= _MOST_ANSWERS:  # callers choose the names: the memory must not grow with them
            self._answers.clear()
        if len(name) <= _LONGEST_NAME:
            self._answers[asked] = prices
        return prices

    def prices_of_row(self, row: Row) -> Prices | None:
        """The price list in a row that `find` gave."""
        if row.doubt is not None or row.found == "rule":
            return None
        if row.name not in self._prices:
            self._prices[row.name] = prices_of(row.fields, row.name, whole=row.whole, own=row.own)
        return self._prices[row.name]

    def image_prices(
        self, name: str, provider: str | None = None, *, size: str | None = None, quality: str | None = None
    ) -> Prices | None:
        """The price list of an image model at this size ("1024x1536") and quality ("high"): for some models these have
        rows of their own. It is meant for answers that count images; where the answer counts tokens, `prices` is the
        list."""
        model, provider = self._split(name, provider)
        prefixes = [f"{prefix}/" for prefix in names.key_prefixes(provider)] if provider else []
        shape = "-x-".join(size.lower().split("x")) if size else None
        for prefix in (*prefixes, ""):
            key = f"{prefix}{quality}/{shape}/{model}"
            if quality and shape and self._knows(key) and self._is_hosted(key, provider):
                return self.prices_of_row(self._row(key, "exact"))
        return self.prices(name, provider)

    def info(self, name: str, provider: str | None = None) -> dict[str, Any] | None:
        """What LiteLLM's `get_model_info` says: a dict with LiteLLM's field names and float prices; None where nothing
        is known."""
        row = self.find(name, provider)
        return row.info() if row else None

    def supports(self, name: str, what: str, provider: str | None = None) -> bool | None:
        """Whether a model can do `what` ("vision", "function_calling" ...); None where nobody says."""
        row = self.find(name, provider)
        return row.supports(what) if row else None

    def limits(self, name: str, provider: str | None = None) -> Limits:
        """How many tokens go in and come out; None where not known."""
        row = self.find(name, provider)
        return row.limits if row else Limits()

    def provider_of(self, name: str) -> str | None:
        """The provider of a name that stands in the fact sheet as it is, or None. This is what `resolve_model` asks for
        bare names."""
        row = self._by_key([name], None, {name})
        return row.provider if row and row.provider else None

    # -- all models ---------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[str]:
        """The names of all rows; those of the user first."""
        yield from self._user
        yield from (name for name in self._packaged if name not in self._user)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: str) -> bool:
        return self._knows(name)

    def rows(self) -> Iterator[Row]:
        """All rows, decoded one by one."""
        return (self._row(name, "exact") for name in self)

    def nearest(self, name: str, count: int = 3) -> list[str]:
        """The names that look most like `name`, best first: for error messages. Takes some 20 ms."""
        wanted = name[:_LONGEST_PROPOSAL].lower()
        return get_close_matches(wanted, [each for each in self if len(each) <= _LONGEST_PROPOSAL], n=count, cutoff=0.6)

    # -- rows of the user ---------------------------------------------------------------------------------------------

    def with_rows(self, rows: Mapping[str, Mapping[str, Any]], *, replace: bool = False) -> Facts:
        """These facts with other ones over them. `rows` is what LiteLLM's `register_model` takes: name -> field ->
        value.

        A row for a name that is known is laid over it field by field, and a value of None removes the field; `replace`
        starts from nothing instead. Floats mean their shortest decimal form. Raises ProviderError (malformed_prices)
        that names the row and the field.
        """
        user = dict(self._user)
        for name, fields in rows.items():
            user[name] = self._user_row(name, fields, replace=replace)
        return Facts(user, self._given)

    def _user_row(self, name: str, fields: Mapping[str, Any], *, replace: bool) -> Row:
        if not name or not isinstance(fields, Mapping):
            message = f"The facts of {name!r} are not a mapping of field names to values."
            raise ProviderError("malformed_prices", message, 'Give one, such as {"input_cost_per_token": 2.5e-06}.')
        known = None if replace else self._known_as(name, fields.get("litellm_provider"))
        merged = {**(known.fields if known else {}), **{field: _exact(value) for field, value in fields.items()}}
        merged = {field: value for field, value in merged.items() if value is not None}
        whole = known is None or known.whole
        try:
            prices_of(merged, name, whole=whole, own=True)
        except ProviderError as error:
            raise ProviderError(error.kind, f"In the facts of {name!r}: {error.message}", error.fix) from None
        return Row(name=name, fields=merged, own=True, whole=whole)

    def _known_as(self, name: str, host: object) -> Row | None:
        """The row that a user's row of this name lies over: its own, or the one of the same model in another spelling
        (`openai/gpt-4.1` for `gpt-4.1`)."""
        if self._knows(name):
            return self._row(name, "exact")
        row = self._find(name, host if isinstance(host, str) else None)
        return row if row is not None and row.found in ("exact", "spelling") else None

    # -- how a name is found ------------------------------------------------------------------------------------------

    def _split(self, asked: str, provider: str | None) -> tuple[str, str | None]:
        """The name without its provider's prefix, and the provider: the one in the name, since it is the more exact,
        else the one given."""
        head, slash, rest = asked.partition("/")
        head = head.lower()
        known = slash and rest and head in self._heads
        if known and (provider is None or names.is_hosted_by(head, provider)):
            return rest, head
        return asked, provider

    @cached_property
    def _heads(self) -> frozenset[str]:
        """What stands before the first slash of a name and is a provider."""
        labels = {*self._packaged.hosts, *(row.provider for row in self._user.values())} - {""}
        providers = labels | {names.provider_of_label(label) for label in labels}
        return frozenset(prefix for provider in providers for prefix in (provider, *names.key_prefixes(provider)))

    def _knows(self, name: str) -> bool:
        return name in self._user or name in self._packaged

    def _row(self, name: str, found: Found, doubt: str | None = None) -> Row:
        if name in self._user:
            row = self._user[name]
        else:
            if name not in self._rows:
                self._rows[name] = Row(name=name, fields=self._packaged.row(name))
            row = self._rows[name]
        if found == "exact" and doubt is None:
            return row
        fields = without_prices(row.fields) if doubt else row.fields
        return Row(name=name, fields=fields, found=found, own=row.own, whole=row.whole, doubt=doubt)

    def _is_hosted(self, key: str, provider: str | None) -> bool:
        """Whether the row is one of this provider. A row of the user that names no provider is anybody's."""
        if provider is None:
            return True
        if key not in self._user:
            return names.is_hosted_by(self._packaged.host(key), provider)
        label = str(self._user[key].fields.get("litellm_provider") or "")
        return not label or names.is_hosted_by(label, provider)

    def _by_key(self, keys: Iterable[str], provider: str | None, exact: set[str]) -> Row | None:
        for key in keys:
            if self._knows(key) and self._is_hosted(key, provider):
                return self._row(key, "exact" if key in exact or key.partition("/")[2] in exact else "spelling")
        return None

    def _by_folded_key(self, keys: Iterable[str], provider: str | None) -> Row | None:
        for key in keys:
            known = self._folded.get(key.lower(), ())
            if len(known) == 1 and self._is_hosted(known[0], provider):
                return self._row(known[0], "spelling")
        return None

    @cached_property
    def _folded(self) -> dict[str, list[str]]:
        return _grouped(self, str.lower)

    # -- snapshots ----------------------------------------------------------------------------------------------------

    @cached_property
    def _snapshots(self) -> dict[str, list[str]]:
        """Stem -> the names of its snapshots."""
        return _grouped(self, lambda name: names.snapshot_of(name).stem.lower())

    def _by_snapshot(self, keys: Iterable[str], provider: str | None) -> Row | None:
        for key in keys:
            asked = names.snapshot_of(key)
            family = [name for name in self._snapshots.get(asked.stem.lower(), ()) if self._is_hosted(name, provider)]
            members = sorted((name for name in family if not names.snapshot_of(name).short), key=_newest_first)
            if members and not asked.short:
                doubt = self._doubt_of_snapshot(asked, members, family)
                return self._row(members[0], "snapshot", doubt)
        return None

    def _doubt_of_snapshot(self, asked: names.Snapshot, members: list[str], family: list[str]) -> str | None:
        """Why a snapshot that is not listed may cost something else than the listed ones.

        A date that is not listed may be older than all that are: providers have lowered prices with a snapshot, and
        taken the old one off their list. A bare name and a "-latest" are not always the same (Mistral's); it takes two
        listed snapshots that agree to tell.
        """
        if not self._agree(family):
            return f"the snapshots of {asked.stem} differ in price"
        if not asked.date:
            certain = len(members) > 1 or asked.alias == "@default" or names.snapshot_of(members[0]).alias == ":latest"
            certain = certain or asked.alias == ":latest"
            return None if certain else f"only {members[0]} is listed"
        dates = [snapshot.date for snapshot in map(names.snapshot_of, members)]
        if all(dates):
            return f"{asked.stem} is listed with other dates only"
        if any(dates) and not any(date and date <= asked.date for date in dates):
            return f"all listed snapshots of {asked.stem} are newer"
        return None

    def _agree(self, keys: list[str]) -> bool:
        """Whether all rows have the same prices."""
        if any(key in self._user for key in keys):
            first = _price_fields(self._row(keys[0], "exact"))
            return all(_price_fields(self._row(key, "exact")) == first for key in keys)
        return all(self._packaged.same_prices(keys[0], key) for key in keys)

    # -- places -------------------------------------------------------------------------------------------------------

    @cached_property
    def _places(self) -> dict[str, list[str]]:
        """Bedrock model -> its names in all places."""
        bedrock = [name for name in self if self._is_hosted(name, "bedrock") and name not in self._user]
        return _grouped(bedrock, lambda name: names.place_of(name).model)

    def _by_place(self, keys: Iterable[str], provider: str | None) -> Row | None:
        if provider is not None and not names.is_hosted_by("bedrock", provider):
            return None
        for key in keys:
            asked = names.place_of(key)
            members = self._places.get(asked.model, [])
            if members:
                return self._placed(asked, members)
        return None

    def _placed(self, asked: names.Place, members: list[str]) -> Row:
        profile = f"{asked.geography}.{asked.model}"
        if asked.geography and profile in members:
            return self._row(profile, "place")  # the profile decides over the price, from whichever region it is called
        nearest = asked.model if asked.model in members else members[0]
        return self._row(nearest, "place", self._doubt_of_place(asked, members))

    def _doubt_of_place(self, asked: names.Place, members: list[str]) -> str | None:
        """Why a place that is not listed may have another price than the listed ones."""
        if asked.apart:
            return f"{asked.model} is not listed for {asked.geography or asked.region}, which has prices of its own"
        places = {name: names.place_of(name) for name in members}
        comparable = [name for name, place in places.items() if not place.apart or place.geography == "global"]
        continents = {places[name].continent for name in comparable if not places[name].apart}
        if len(continents) > 1 and self._agree(comparable):
            return None
        profiles = [name for name, place in places.items() if not place.region and place.geography != "us-gov"]
        if asked.region in names.LIST_PRICE_REGIONS and asked.model in profiles and self._agree(profiles):
            return None
        where = asked.geography or asked.region
        if not where:
            return f"{asked.model} is listed for some regions only, and their prices differ"
        return f"{asked.model} is not listed for {where}, and its price may differ there"

    # -- rules --------------------------------------------------------------------------------------------------------

    def _by_rule(self, asked: str, provider: str | None) -> Row | None:
        """What holds for every model with a name like this. Never a price."""
        fields: dict[str, Any] = {}
        for pattern, info in self._rules:
            if pattern.search(asked):
                fields = {**info, **fields}
        if not fields:
            return None
        if provider is not None:
            fields["litellm_provider"] = provider
        return Row(name=asked, fields=without_prices(fields), found="rule", doubt="the model is not listed")

    @cached_property
    def _rules(self) -> list[tuple[re.Pattern[str], dict[str, Any]]]:
        return [(re.compile(rule["pattern"]), rule["model_info"]) for rule in self._packaged.rules]


def _keys(asked: str, model: str, provider: str | None, *, told: bool) -> Iterator[str]:
    """The names that a row of this model may have, the likeliest first. `told`: the provider was said beside the name,
    so that a first segment that looks like it may be part of the model's own name (Perplexity has a model
    `perplexity/sonar`)."""
    if provider is None:
        yield from names.spellings(asked)
        return
    prefixes = names.key_prefixes(provider)
    if asked != model:
        yield from (f"{prefix}/{asked}" for prefix in prefixes if told)
        yield asked
    for spelling in names.spellings(model):
        for full in (spelling, *names.completed(spelling, provider)):
            yield from (f"{prefix}/{full}" for prefix in prefixes)
            if not full.startswith(tuple(f"{prefix}/" for prefix in prefixes)):
                yield full


def _grouped(keys: Iterable[str], by: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(by(key), []).append(key)
    return groups


def _newest_first(name: str) -> tuple[bool, bool, int]:
    """The bare name, then the alias, then the newest date."""
    snapshot = names.snapshot_of(name)
    return bool(snapshot.date), bool(snapshot.alias), -int(snapshot.date or 0)


def _price_fields(row: Row) -> dict[str, Any]:
    return {field: value for field, value in row.fields.items() if is_price_field(field)}


def _exact(value: Any) -> Any:
    """Floats of a user as exact numbers, deep inside too."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {key: _exact(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(inner) for inner in value]
    return value
