"""No file: what a gateway without a configuration serves, as a `Loaded` like any other.

The demo model, which needs neither key nor network; the models of an Ollama that answers on this machine; and every
provider whose key is in the environment, each as the wildcard group `provider/*`, with its own paths below
`/provider/`. There is no way to serve without a key: where nobody names one, whoever starts the gateway makes one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from penstock.control.config.loaded import Loaded
from penstock.control.config.master_key import master_key
from penstock.gateway.snapshot import Snapshot
from penstock.providers.endpoint import variables_of
from penstock.providers.registry import Registry
from penstock.providers.ways import providers_with_keys
from penstock.routing.deployment import Deployment

DEMO = "demo"
_SHORTEST_SECRET = 8


def no_file(registry: Registry, environment: Mapping[str, str], ollama: Iterable[str] = ()) -> Loaded:
    """What is served here. `ollama` are the models that a local Ollama offers (`penstock.cli.ollama` asks it)."""
    hosted = providers_with_keys(registry, environment)
    local = list(ollama)
    groups = [DEMO, *(f"ollama_chat/{name}" for name in local)]
    groups += [f"{name}/*" for name in (*(("ollama", "ollama_chat") if local else ()), *hosted)]
    key, source = master_key(None, "", environment)
    return Loaded(
        snapshot=Snapshot(
            version=0,
            deployments=tuple(Deployment(group=each, id=each, arguments={"model": each}) for each in groups),
            pass_through={name: {} for name in hosted},
        ),
        master_key=key,
        master_key_source=source,
        secrets=secrets_in(registry, environment, key),
    )


def secrets_in(registry: Registry, environment: Mapping[str, str], *more: str | None) -> tuple[str, ...]:
    """The values of all variables that may carry a provider's key, and `more`, so that they can be kept from leaving;
    the longest first, since one may hold another.
    """
    names = {name for provider in registry for name in variables_of(provider)}
    found = {value for value in (*(environment.get(name, "").strip() for name in names), *more) if value}
    return tuple(sorted((each for each in found if len(each) >= _SHORTEST_SECRET), key=lambda each: (-len(each), each)))
