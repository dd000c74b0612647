"""What a gateway without a config file serves: the demo model, a local Ollama if one answers, and every provider
whose key is in the environment.

The master key comes from PENSTOCK_MASTER_KEY (or LITELLM_MASTER_KEY, so that a LiteLLM deployment's environment
works); without one, a key is made for this run and shown once by whoever starts the gateway. There is no way to serve
without a key.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cached_property

from msgspec import Struct

from penstock.gateway.answers import Redactor
from penstock.gateway.inside import host_of
from penstock.providers.endpoint import variables_of
from penstock.providers.registry import Registry
from penstock.providers.ways import missing_variables

MASTER_KEY_VARIABLES = ("PENSTOCK_MASTER_KEY", "LITELLM_MASTER_KEY")
DEMO = "demo"
LOCAL = frozenset({"ollama", "ollama_chat"})
MAX_BODY = 64 * 1024 * 1024
"""Bytes that a request body may have."""
BODY_SILENCE = 30.0
"""Seconds that may pass between two pieces of a request body."""


class Served(Struct, frozen=True):
    """A model that is listed: its name for clients, and who has it."""

    id: str
    owned_by: str


class Gateway(Struct, frozen=True, dict=True):
    """What one gateway serves.

    key       the master key, in the clear in memory only: compared in constant time, never logged
    key_variable    the environment variable that the key is from; None where it was made for this run (and must be
              shown once)
    models    what /v1/models lists; any other "provider/model" whose provider is in `providers` is served too
    providers names of the providers with a key
    secrets   values that must not leave: the master key, and the keys found in the environment
    hosts     names of hosts that are nobody's business outside: where the environment says that the providers are
    """

    key: str
    key_variable: str | None
    models: tuple[Served, ...]
    providers: frozenset[str]
    secrets: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Gateway({len(self.models)} models, providers={sorted(self.providers)})"

    @property
    def made(self) -> bool:
        """Whether the key was made for this run."""
        return self.key_variable is None

    def admits(self, presented: str | None) -> bool:
        """Whether this is the key."""
        return presented is not None and hmac.compare_digest(presented.encode(), self.key.encode())

    @cached_property
    def redact(self) -> Redactor:
        """Takes the secrets, and the addresses of the inside, out of what leaves."""
        return Redactor((self.key, *self.secrets), self.hosts)

    @property
    def set_up(self) -> str:
        """What is served here, in a sentence."""
        local = [model.id for model in self.models if model.id == DEMO or model.owned_by == "ollama"]
        hosted = [f"{name}/..." for name in sorted(self.providers - LOCAL)]
        return f"Set up here: {', '.join([*local[:8], *hosted])}. GET /v1/models lists all."

    def no_such_model(self, name: str, why: str = "") -> str:
        """What to say to somebody who asked for a model that nobody knows: the nearest that are served here, or else
        what the catalog would say (`why`), and what is set up.
        """
        near = get_close_matches(name, [model.id for model in self.models], n=3)
        said = f"there is no model {name[:200]!r} here"
        if near:
            return f"{said}. Did you mean {' or '.join(near)}? {self.set_up}"
        return f"{said}. {why} {self.set_up}" if why else f"{said}. {self.set_up}"


def providers_with_keys(registry: Registry, environment: Mapping[str, str]) -> list[str]:
    """The hosted providers that the environment has a key for, by name."""
    return sorted(
        provider.name
        for provider in registry
        if not provider.local
        and provider.speaks
        and any(environment.get(name, "").strip() for name in variables_of(provider))
        and not missing_variables(provider, environment=environment)
    )


def master_key(environment: Mapping[str, str]) -> tuple[str | None, str]:
    """The variable that gives the master key, and the key: without the spaces around it that a file's last line leaves,
    and that a client cannot send. (None, "") where there is none.
    """
    for name in MASTER_KEY_VARIABLES:
        if key := environment.get(name, "").strip():
            return name, key
    return None, ""


def gateway_of(
    registry: Registry,
    environment: Mapping[str, str],
    ollama: Iterable[str] = (),
    known_models: Mapping[str, Iterable[str]] | None = None,
) -> Gateway:
    """The gateway for this environment. `ollama` are the models that a local Ollama offers, `known_models` those of
    each provider with a key.
    """
    variable, key = master_key(environment)
    providers = providers_with_keys(registry, environment)
    models = [Served(DEMO, "penstock"), *(Served(f"ollama_chat/{name}", "ollama") for name in ollama)]
    for provider in providers:
        models += [Served(f"{provider}/{name}", provider) for name in (known_models or {}).get(provider, ())]
    return Gateway(
        key=key or f"sk-{secrets.token_urlsafe(24)}",
        key_variable=variable,
        models=tuple(models),
        providers=frozenset([*providers, *(LOCAL if ollama else ())]),
        secrets=secrets_of(registry, environment),
        hosts=hosts_of(registry, environment),
    )


def hosts_of(registry: Registry, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The hosts that the environment gives as addresses of providers."""
    names = {name for provider in registry for name in provider.base_environment}
    given = [environment[name] for name in sorted(names) if environment.get(name)]
    return tuple({host for address in given if (host := host_of(address))})


def secrets_of(registry: Registry, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of all variables that may carry a provider's key, so that they can be kept from leaving."""
    names = {name for provider in registry for name in variables_of(provider)}
    return tuple(environment[name] for name in sorted(names) if environment.get(name))
