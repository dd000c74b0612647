"""Deployment: provider, model, credential and limits of one place where a model group can be answered.

`deployments_of` reads them from a `model_list` in LiteLLM's form. What an entry says about routing becomes a field of
the deployment; all else of its `litellm_params` is arguments of the call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct


class Deployment(Struct, frozen=True, kw_only=True):
    """One place.

    id          names it; default: a digest of group and arguments, so that it is the same after a restart
    group       the name that callers use; several deployments share it. With a `*` it stands for all names that fit,
                and a `*` in `model` for what stood there
    arguments   the arguments of the call that reach it: `model`, and any option or parameter (api_key, api_base,
                timeout ...)
    order       1 is tried before 2, whatever the strategy says
    weight      share of the traffic under simple-shuffle; where no deployment has one, `rpm` and then `tpm` count
    rpm, tpm    requests and tokens a minute that it takes, where known: shares, not limits
    most_in_flight  requests at once that it takes (`max_parallel_requests`): with so many it is not asked
    cooldown    seconds that it rests after failures; None: as the router says
    retries     how often its group is asked again when it failed (`num_retries`); None: as the router says
    stream_timeout  the `timeout` of streams; None: the same as of other calls
    price       US dollars a million tokens, in and out together, where known (for cost-based routing)
    tags        what requests may ask for. A tagged deployment answers no request that does not ask for it, but for the
                tag "default": that answers those for whom nothing else is meant
    max_input   tokens that go into its model at most, where known
    input_price, cached_price  US dollars a million tokens of input, and of input that the provider has in its prompt
                cache, where known
    network     how it is reached, where that differs: `proxy` (URL), `ca_file`, `cert` (file, or [certificate, key]),
                `verify` (bool)
    """

    group: str
    arguments: dict[str, Any]
    id: str = ""
    order: int = 1
    weight: float | None = None
    rpm: float | None = None
    tpm: float | None = None
    most_in_flight: int | None = None
    cooldown: float | None = None
    retries: int | None = None
    stream_timeout: float | None = None
    price: Decimal | None = None
    network: Mapping[str, Any] = {}
    tags: tuple[str, ...] = ()
    max_input: int | None = None
    input_price: Decimal | None = None
    cached_price: Decimal | None = None

    @property
    def model(self) -> str:
        """The model string that the deployment is called with."""
        return str(self.arguments["model"])

    @property
    def entry(self) -> dict[str, Any]:
        """The entry of a `model_list` that says the same. The keys of its environment are in it as they are."""
        routing = {name: getattr(self, field) for name, field in _OWN.items() if name != "max_retries"}
        routing["order"] = None if self.order == 1 else self.order
        given = {name: value for name, value in routing.items() if value is not None}
        return {"model_name": self.group, "litellm_params": {**self.arguments, **given}, "model_info": {"id": self.id}}

    def __repr__(self) -> str:
        return f"Deployment({self.id}, {self.group!r} -> {self.model!r})"


class MalformedDeployment(ValueError):
    """An entry of a model list is not one. The message says which and why."""


_OWN = {
    "order": "order",
    "weight": "weight",
    "rpm": "rpm",
    "tpm": "tpm",
    "max_parallel_requests": "most_in_flight",
    "cooldown_time": "cooldown",
    "max_retries": "retries",
    "num_retries": "retries",
    "stream_timeout": "stream_timeout",
}
"""What an entry says about routing -> the field. All are numbers."""
_WHOLE = frozenset({"order", "most_in_flight", "retries"})
_BOOKKEEPING = frozenset({"use_in_pass_through", "use_litellm_proxy", "configurable_clientside_auth_params"})
"""What LiteLLM's gateway keeps in an entry and no call needs."""
_NOT_YET = frozenset({"max_budget", "budget_duration", "litellm_credential_name", "auto_router_config"})
"""What would be unsafe to overlook."""
_ENVIRONMENT = "os.environ/"


def deployments_of(model_list: Any, environment: Mapping[str, str]) -> tuple[Deployment, ...]:
    """The deployments of a `model_list` in LiteLLM's form: `[{"model_name", "litellm_params": {"model", ...},
    "model_info": {"id"}}]`.

    (`params` is the same as `litellm_params`.) What `model_info` says of the model (prices, `base_model`) is also an
    argument of the call. A value "os.environ/NAME" is that variable's. Raises MalformedDeployment.
    """
    if isinstance(model_list, str | Mapping) or not hasattr(model_list, "__iter__"):
        raise MalformedDeployment("model_list must be a list of {'model_name': ..., 'litellm_params': {'model': ...}}")
    found = tuple(_deployment(entry, number, environment) for number, entry in enumerate(model_list))
    if not found:
        raise MalformedDeployment("model_list is empty: give at least one deployment")
    ids = [deployment.id for deployment in found]
    doubled = next((name for name in ids if ids.count(name) > 1), None)
    if doubled is not None:
        raise MalformedDeployment(
            f"two entries of model_list have the id {doubled!r}: give each its own in model_info.id"
        )
    return found


def _deployment(entry: Any, number: int, environment: Mapping[str, str]) -> Deployment:
    where = f"model_list[{number}]"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("model_name"), str) or not entry["model_name"]:
        raise MalformedDeployment(f"{where} needs a 'model_name': the name that callers use")
    group = entry["model_name"]
    given = entry.get("litellm_params") or entry.get("params")
    if not isinstance(given, Mapping) or not isinstance(given.get("model"), str) or not given["model"]:
        raise MalformedDeployment(
            f"{where} ({group!r}) needs 'litellm_params' with a 'model', like 'openai/gpt-5-mini'"
        )
    where = f"{where}.litellm_params"
    for name in _NOT_YET & given.keys():
        raise MalformedDeployment(f"{where}.{name} is not supported: take it out")
    info = entry.get("model_info") or {}
    if not isinstance(info, Mapping):
        raise MalformedDeployment(f"model_list[{number}].model_info must be a dict")
    numbers = {
        field: _number(given[name], f"{where}.{name}", field) for name, field in _OWN.items() if _given(given, name)
    }
    arguments = {
        name: _value(value, f"{where}.{name}", environment)
        for name, value in given.items()
        if name not in _OWN and name not in _BOOKKEEPING and value is not None
    }
    if info.get("base_model"):
        arguments.setdefault("base_model", info["base_model"])
    if facts := {name: value for name, value in info.items() if name not in ("id", "base_model")}:
        arguments.setdefault("model_info", facts)
    return Deployment(
        group=group,
        arguments=arguments,
        id=str(info.get("id") or _digest(group, given, number)),
        tags=_tags(given.get("tags"), f"{where}.tags"),
        max_input=_tokens(info.get("max_input_tokens"), f"model_list[{number}].model_info.max_input_tokens"),
        **numbers,
    )


def _tags(value: Any, where: str) -> tuple[str, ...]:
    """They stay among the arguments too: there they are for logs."""
    if value is None:
        return ()
    tags = () if isinstance(value, str | Mapping) or not hasattr(value, "__iter__") else tuple(value)
    if not all(isinstance(tag, str) and tag for tag in tags) or (value and not tags):
        raise MalformedDeployment(f"{where} must be a list of strings, not {value!r}")
    return tags


def _tokens(value: Any, where: str) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None else int(_number(value, where, "order"))


def _given(arguments: Mapping[str, Any], name: str) -> bool:
    return arguments.get(name) is not None


def _number(value: Any, where: str, field: str) -> Any:
    kinds = int if field in _WHOLE else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value < float("inf"):
        what = "whole number" if field in _WHOLE else "number"
        raise MalformedDeployment(f"{where} must be a {what} of 0 or more, not {value!r}")
    return value


def _value(value: Any, where: str, environment: Mapping[str, str]) -> Any:
    """A value, or that of the environment variable which it names."""
    if not isinstance(value, str) or not value.startswith(_ENVIRONMENT):
        return value
    name = value.removeprefix(_ENVIRONMENT)
    if name not in environment:
        raise MalformedDeployment(f"{where}: the environment variable {name} is not set")
    return environment[name]


def _digest(group: str, arguments: Mapping[str, Any], number: int) -> str:
    """A name without secrets: they go through a hash."""
    text = repr((group, sorted((name, repr(value)) for name, value in arguments.items()), number))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
