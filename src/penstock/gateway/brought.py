"""Brought: a deployment asked with what a client has brought itself: its own key, perhaps at its own address.

The rule: the operator's credentials never go to a client's address, and never pay where a client brings a key. So

    a key alone       takes the place of all credentials of the deployment; the rest of it stays
    an address, too   nothing of the deployment stays but its model and what is known of it, and nothing is read from
                      the environment
    both              only where the provider takes a plain key, and where what is sent is the client's

Whatever becomes of such a call says nothing about the deployment, and it has no fallbacks: other groups are for other
keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from penstock.calls.engine import Engine
from penstock.calls.options import ADDRESS, is_price
from penstock.gateway.refused import Refused
from penstock.gateway.targets import Target
from penstock.providers.auth.authorization import KeyAuthorization
from penstock.routing.deployment import Deployment

_STAYS = frozenset({"model", "custom_llm_provider", "base_model", "model_info", "timeout"})
_CREDENTIAL = (
    "key",
    "token",
    "secret",
    "password",
    "credential",
    "username",
    "role",
    "profile",
    "identity",
    "client_id",
)


def brought_target(
    engine: Engine,
    bare: Engine,
    deployment: Deployment,
    brought: Mapping[str, str],
    capability: str,
    dialect: str,
    prefer: Sequence[str],
    stream: bool,
) -> Target:
    """The deployment with what a client has brought (`api_key`, at least); `bare` is an engine without an environment,
    `engine` that of the gateway. Raises ProviderError, and Refused where the provider takes no plain key.
    """
    given = deployment.arguments
    network = deployment.network
    if set(brought) == {"api_key"}:
        kept = {name: value for name, value in given.items() if not _pays(name, engine)}
    else:
        kept = {name: value for name, value in given.items() if name in _STAYS or is_price(name)}
        network = {name: value for name, value in {**given, **network}.items() if name in ("proxy", "ca_file")}
        engine = bare
    target = Target(engine, replace(deployment, arguments={**kept, **brought}, network=network))
    target.find(capability, stream, prefer, dialect)
    if not _is_the_clients(target, brought["api_key"]):
        message = f"{target.resolved.provider.name} takes no plain key: `api_key` cannot be brought for it"
        raise Refused("invalid_request", 400, message, param="api_key")
    return target


def _pays(name: str, engine: Engine) -> bool:
    """Whether an argument says who pays: a credential, or headers that may bear one."""
    if name in ("headers", "extra_headers", "extra_query"):
        return True
    return (name in engine.addresses or name in ADDRESS) and any(mark in name for mark in _CREDENTIAL)


def _is_the_clients(target: Target, key: str) -> bool:
    """Whether what the request is authorised with is the client's key and nothing else."""
    found = target.endpoint
    if found is None or type(found.auth) is not KeyAuthorization:
        return False
    sent = [*found.auth.headers.values(), *found.auth.query.values()]
    return bool(sent) and all(value == key or value.endswith(f" {key}") for value in sent)
