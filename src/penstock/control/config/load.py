"""Load: a configuration file, in Penstock's form or in LiteLLM's, as a `Loaded`; or all that is wrong with it.

    read_bundle -> tree_of -> resolve -> (LiteLLM's: translate) -> validate and Meaning -> build

`load` reads the file; `load_bundle` is pure, and is what a gateway does with a configuration that it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.calls.deployments import with_facts
from penstock.calls.engine import Engine
from penstock.calls.litellm_words import is_credential
from penstock.control.config import build
from penstock.control.config.bundle import Bundle, read_bundle, tree_of
from penstock.control.config.litellm.translate import translate
from penstock.control.config.loaded import Loaded
from penstock.control.config.master_key import master_key
from penstock.control.config.meaning import Meaning
from penstock.control.config.native import Config
from penstock.control.config.problems import ConfigErrors, Problem
from penstock.control.config.references import resolve, variables_of
from penstock.control.config.validate import validate
from penstock.providers.errors import ProviderError
from penstock.providers.registry import Registry, default_registry
from penstock.routing.deployment import MalformedDeployment
from penstock.types.errors import MalformedError

_SHORTEST_SECRET = 8
"""Characters of a value that is worth being looked for in what leaves: shorter ones would be found everywhere."""


def load(path: Path, environment: Mapping[str, str], registry: Registry | None = None) -> Loaded:
    """The configuration in this file. Raises ConfigErrors with all that is wrong."""
    return load_bundle(read_bundle(path), environment, registry)


def load_bundle(bundle: Bundle, environment: Mapping[str, str], registry: Registry | None = None) -> Loaded:
    """The configuration in these texts; nothing is read from a disk. Raises ConfigErrors."""
    tree = tree_of(bundle)
    variables, problems = variables_of(tree.root, environment)
    surroundings = {**environment, **variables}
    engine = Engine(registry=registry or default_registry(), environment=surroundings)
    missing = resolve(tree.root, surroundings, tree.litellm)
    root, warnings = tree.root, [*tree.warnings]
    if tree.litellm:
        root, wrong, unheard = translate(root, engine.registry, surroundings)
        problems += wrong
        warnings += unheard
    asked = {(node.path, node.place) for node in root.walk()}
    problems += [each for each in missing if (each.path, each.place) in asked]
    meaning = Meaning(root, engine, tree.litellm)
    meaning.check()
    config, wrong = validate(root)
    problems += [*wrong, *meaning.errors]
    if problems or config is None:
        raise ConfigErrors(problems)
    return _loaded(config, engine, variables, (*warnings, *meaning.warnings), tree.files)


def _loaded(
    config: Config,
    engine: Engine,
    variables: Mapping[str, str],
    warnings: tuple[Problem, ...],
    files: tuple[str, ...],
) -> Loaded:
    try:
        found = tuple(with_facts(each, engine) for each in build.deployments(config.models))
    except (MalformedDeployment, MalformedError, ProviderError) as error:  # such as a price that cannot be one
        raise ConfigErrors([Problem(str(error), "models", None)]) from None
    key, source = master_key(config.general.master_key, files[0], engine.environment)
    return Loaded(
        snapshot=build.snapshot_of(config, found, variables),
        keys=tuple(build.key_record(each) for each in config.keys),
        master_key=key,
        master_key_source=source,
        control=build.control(config.general),
        probes=build.probes(config.models, found, config.general.health_check),
        access_groups=build.access_groups(config.models),
        warnings=warnings,
        files=files,
        secrets=_secrets(config, key, variables),
    )


def _secrets(config: Config, key: str | None, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Every value that must not leave, longest first (one may hold another)."""
    found = {key, *(each.key for each in config.keys)}
    found |= {value for name, value in variables.items() if is_credential(name)}
    blocks: list[Any] = [*config.models, *(each for each in config.pass_through.values() if each), *config.endpoints]
    for block in blocks:
        found.add(getattr(block, "api_key", None))
        given = {**(getattr(block, "arguments", None) or {}), **(getattr(block, "headers", None) or {})}
        named = [value for name, value in given.items() if is_credential(name) and isinstance(value, str)]
        found |= {value.removeprefix("Bearer ").removeprefix("bearer ").strip() for value in named}
    kept = {value for value in found if value and len(value) >= _SHORTEST_SECRET}
    return tuple(sorted(kept, key=lambda value: (-len(value), value)))
