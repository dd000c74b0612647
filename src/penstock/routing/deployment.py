"""Deployment: provider, model, credential and limits of one place where a model group can be answered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Deployment(Struct, frozen=True, kw_only=True):
    """One place.

    id          names it; default: a digest of group and arguments, so that it is the same after a restart
    group       the name that callers use; several deployments share it
    arguments   the arguments of the call that reach it: `model`, and any option or parameter (api_key, api_base,
                timeout ...)
    order       1 is tried before 2, whatever the strategy says
    weight      share of the traffic under simple-shuffle; where no deployment has one, `rpm` and then `tpm` count
    rpm, tpm    requests and tokens a minute that it takes, where known
    price       US dollars a million tokens, in and out together, where known (for cost-based routing)
    """

    group: str
    arguments: dict[str, Any]
    id: str = ""
    order: int = 1
    weight: float | None = None
    rpm: float | None = None
    tpm: float | None = None
    price: float | None = None

    @property
    def model(self) -> str:
        """The model string that the deployment is called with."""
        return str(self.arguments["model"])

    def __repr__(self) -> str:
        return f"Deployment({self.id}, {self.group!r} -> {self.model!r})"


class MalformedDeployment(ValueError):
    """An entry of a model list is not one. The message says which and why."""


_OWN = frozenset({"order", "weight", "rpm", "tpm"})


def deployments_of(model_list: Any) -> tuple[Deployment, ...]:
    """The deployments of a `model_list` in LiteLLM's form: `[{"model_name", "litellm_params": {"model", ...},
    "model_info": {"id"}}]`.

    (`params` is the same as `litellm_params`.) Raises MalformedDeployment.
    """
    if isinstance(model_list, str | Mapping) or not hasattr(model_list, "__iter__"):
        raise MalformedDeployment("model_list must be a list of {'model_name': ..., 'litellm_params': {'model': ...}}")
    found = tuple(_deployment(entry, number) for number, entry in enumerate(model_list))
    ids = [deployment.id for deployment in found]
    doubled = next((name for name in ids if ids.count(name) > 1), None)
    if doubled is not None:
        raise MalformedDeployment(
            f"two entries of model_list have the id {doubled!r}: give each its own in model_info.id"
        )
    return found


def _deployment(entry: Any, number: int) -> Deployment:
    where = f"model_list[{number}]"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("model_name"), str):
        raise MalformedDeployment(f"{where} needs a 'model_name'")
    arguments = entry.get("litellm_params") or entry.get("params")
    if not isinstance(arguments, Mapping) or not isinstance(arguments.get("model"), str):
        raise MalformedDeployment(f"{where} needs 'litellm_params' with a 'model'")
    info = entry.get("model_info") or {}
    numbers = {name: _number(arguments[name], f"{where}.{name}") for name in _OWN if arguments.get(name) is not None}
    rest = {name: value for name, value in arguments.items() if name not in _OWN}
    if info.get("base_model") and "base_model" not in rest:
        rest["base_model"] = info["base_model"]
    return Deployment(
        group=entry["model_name"],
        arguments=rest,
        id=str(info.get("id") or _digest(entry["model_name"], rest, number)),
        order=int(numbers.get("order", 1)),
        weight=numbers.get("weight"),
        rpm=numbers.get("rpm"),
        tpm=numbers.get("tpm"),
    )


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise MalformedDeployment(f"{where} must be a number of 0 or more, not {value!r}")
    return value


def _digest(group: str, arguments: Mapping[str, Any], number: int) -> str:
    """A name without secrets: they go through a hash."""
    text = repr((group, sorted((name, repr(value)) for name, value in arguments.items()), number))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
