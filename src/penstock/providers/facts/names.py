"""Names: how one model is written in many ways, and which of them mean the same model at the same host.

Theory. A fact sheet has a row for some names; callers and responses use others. Two names may be exchanged only if they
are the same model *at the same price*. So this file knows three relations, from strong to weak, and `Facts.find` goes
through them in this order:

    spelling   only the writing differs (`models/gemini-2.5-pro`, `fireworks_ai/llama-v3` for
               `fireworks_ai/accounts/fireworks/models/llama-v3`). Same row.
    snapshot   the same model under an alias, "latest" or a date (`gpt-4.1-latest`, `claude-x@default`). Same price only
               if all listed members agree.
    place      the same Bedrock model called through another region or geography. Same price only if all listed places
               agree.

A prefix that sets a host or a price list apart (`azure/eu/`, `openrouter/`, `ft:`) is never cut off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

# -- hosts ------------------------------------------------------------------------------------------------------------

_LABELS: Final[dict[str, frozenset[str]]] = {
    "amazon_nova": frozenset({"amazon_nova", "amazon-nova"}),
    "openai": frozenset({"openai", "text-completion-openai"}),
    "azure": frozenset({"azure", "azure_text"}),
    "bedrock": frozenset({"bedrock", "bedrock_converse"}),
    "cohere": frozenset({"cohere", "cohere_chat"}),
    "codestral": frozenset({"codestral", "text-completion-codestral"}),
    "inception": frozenset({"inception", "text-completion-inception"}),
}
"""Provider -> the words that rows have for it in `litellm_provider`. Where a provider is not here: its own name, and
whatever follows it and a hyphen."""

_PROVIDERS: Final = {label: provider for provider, labels in _LABELS.items() for label in labels}
_EXTENDED: Final = ("vertex_ai", "fireworks_ai")

_KEY_PREFIXES: Final[dict[str, tuple[str, ...]]] = {
    "amazon_nova": ("amazon-nova",),
    "codestral": ("codestral", "text-completion-codestral"),
    "inception": ("inception", "text-completion-inception"),
}


def provider_of_label(label: str) -> str:
    """The provider that a row's `litellm_provider` means: `vertex_ai-language-models` is vertex_ai, `bedrock_converse`
    is bedrock."""
    for provider in _EXTENDED:
        if label.startswith(provider + "-"):
            return provider
    return _PROVIDERS.get(label, label)


def is_hosted_by(label: str, provider: str) -> bool:
    """Whether a row with this `litellm_provider` is a row of this provider."""
    return label == provider or provider_of_label(label) == provider_of_label(provider)


def key_prefixes(provider: str) -> tuple[str, ...]:
    """What the names of this provider's rows may begin with, before a slash."""
    own = provider_of_label(provider)
    return _KEY_PREFIXES.get(own, (provider,) if own == provider else (provider, own))


# -- spellings --------------------------------------------------------------------------------------------------------

_FIREWORKS = "accounts/fireworks/models/"
_ARN = re.compile(r"^arn:[^:]*:bedrock:([^:]*):[^:]*:(?:foundation-model|inference-profile)/(.+)$")
_CUT = re.compile(
    r"^(?:models/|publishers/[^/]+/models/|projects/[^/]+/locations/[^/]+/publishers/[^/]+/models/"
    r"|converse/|converse_like/|invoke/|responses/|chat/|global/|global-standard/)"
)


def spellings(name: str) -> Iterator[str]:
    """The ways to write this name that mean exactly the same, as given first."""
    yield name
    arn = _ARN.match(name)
    if arn:
        yield f"{arn[1]}/{arn[2]}"
        return
    plain = _CUT.sub("", name)
    if plain != name:
        yield plain
    if plain.startswith("ft:") and plain.count(":") > 1:
        yield ":".join(plain.split(":")[:2])  # ft:<base model>:<organisation>:<name>:<id>
    if plain.startswith(_FIREWORKS):
        yield plain.removeprefix(_FIREWORKS)


def completed(spelling: str, provider: str) -> Iterator[str]:
    """What the provider itself adds to a short name: Fireworks' own models need no account in front."""
    if "/" not in spelling and is_hosted_by("fireworks_ai", provider):
        yield _FIREWORKS + spelling


# -- snapshots --------------------------------------------------------------------------------------------------------

_SNAPSHOT = re.compile(
    r"^(?P<stem>.+?)(?:[-@](?P<date>20\d{2}-\d{2}-\d{2}|20\d{6})|-(?P<short>\d{4})|(?P<alias>[-:@]latest|@default))$",
    re.DOTALL,
)


class Snapshot(Struct, frozen=True):
    """A name taken apart: what it is a snapshot of, and how it says which one.

    date    eight digits; "" for the bare name and the aliases of the newest one
    short   a four-digit date (`-0613`, `-2407`). Providers that write these price them apart, so a name with one is
            only ever found as it is
    alias   "-latest", ":latest", "@default"
    """

    stem: str
    date: str = ""
    short: str = ""
    alias: str = ""


def snapshot_of(name: str) -> Snapshot:
    """`name` taken apart."""
    match = _SNAPSHOT.match(name)
    if match is None:
        return Snapshot(name)
    return Snapshot(match["stem"], (match["date"] or "").replace("-", ""), match["short"] or "", match["alias"] or "")


# -- places -----------------------------------------------------------------------------------------------------------

_REGION = re.compile(r"^(?:bedrock/)?([a-z]{2}(?:-[a-z]+)+-\d)/(.+)$")
_GEOGRAPHY = re.compile(r"^(us-gov|us|eu|apac|jp|au|ca|sa|in|uk|me|af|mx|kr|global)\.([a-z0-9][a-z0-9-]*\..+)$")
_COMMITMENT = re.compile(r"-month-commitment/")

LIST_PRICE_REGIONS: Final = frozenset({"us-east-1", "us-east-2", "us-west-1", "us-west-2"})
"""Regions where the price of a Bedrock model is the one of its plain name: true of all 33 names of the collected facts
that have both."""

_CONTINENTS: Final = {
    "us": "america",
    "ca": "america",
    "sa": "america",
    "mx": "america",
    "eu": "europe",
    "uk": "europe",
}


class Place(Struct, frozen=True):
    """A Bedrock name taken apart: region (`us-west-2`) and geography of the inference profile (`eu`), "" where the name
    has none."""

    model: str
    region: str = ""
    geography: str = ""

    @property
    def continent(self) -> str:
        """america, europe or elsewhere. A plain name is the American list price."""
        where = self.geography or self.region.partition("-")[0] or "us"
        return _CONTINENTS.get(where, "elsewhere")

    @property
    def apart(self) -> bool:
        """Whether the place has a price list of its own: the government's, and the global endpoint's."""
        return self.geography in ("us-gov", "global") or self.region.startswith("us-gov-")


def place_of(name: str) -> Place:
    """`name` taken apart. A name with a commitment in it is a product of its own."""
    if _COMMITMENT.search(name):
        return Place(name)
    match = _REGION.match(name)
    region, rest = (match[1], match[2]) if match else ("", name.removeprefix("bedrock/"))
    inner = _GEOGRAPHY.match(rest)
    return Place(inner[2], region, inner[1]) if inner else Place(rest, region)
