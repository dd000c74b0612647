"""Client words: members of a client's body that are for this gateway and never for a model.

A client may not say where its request goes and who pays: that is the operator's. The names of such arguments are those
that the catalog's providers read (`Engine.addresses`). Beside them stand words of LiteLLM's for its proxy
(https://docs.litellm.ai/docs/proxy/user_keys, /docs/proxy/request_headers). Each is one of three:

    address   refused; where the operator lists it in `general.allowed_client_arguments`, it holds for this one call,
              and only with the client's own key (gateway/brought.py)
    refused   it asks for something that is not done here, and that would be unsafe to overlook
    set aside it asks for nothing that the gateway would do otherwise; a note says so

What asks for nothing (null, false, empty) is set aside in silence. None of them goes on to a provider.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct

from penstock.calls.options import ADDRESS
from penstock.gateway.refused import Refused
from penstock.routing.overrides import BODY_WORDS

_PROMPT = "write the prompt out in the request"
_MOCK = "an operator sets it on a deployment"
_TEST = "give a deployment of the configuration a `mock_response` that fails"
_PRICE = "prices are the operator's: set them on a deployment"
_DEPLOYMENT = "name a model group, or the id of a deployment, in `model`"
_OPERATOR = "an operator sets it on a deployment"
_MODELS = "the models are those of the configuration: GET /v1/models lists them"

REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("mock_response", "mock_tool_calls", "mock_timeout", "mock_delay"), _MOCK),
    **dict.fromkeys(
        (
            "mock_testing_fallbacks",
            "mock_testing_context_fallbacks",
            "mock_testing_content_policy_fallbacks",
            "mock_testing_rate_limit_error",
        ),
        _TEST,
    ),
    **dict.fromkeys(("prompt_id", "prompt_variables", "prompt_version", "prompt_label"), _PROMPT),
    **dict.fromkeys(("user_config", "model_list"), _MODELS),
    **dict.fromkeys(("deployment_id", "specific_deployment", "litellm_credential_name"), _DEPLOYMENT),
    **dict.fromkeys(
        ("input_cost_per_token", "output_cost_per_token", "input_cost_per_second", "output_cost_per_second"), _PRICE
    ),
    **dict.fromkeys(("litellm_params", "base_model", "model_info", "use_litellm_proxy"), _OPERATOR),
    **dict.fromkeys(("extra_headers", "headers", "extra_query", "provider_specific_header"), _OPERATOR),
    "extra_body": "put its members into the body itself",
    "guardrails": "this gateway runs no guardrails: a request that counts on one must not go on without it",
    "policies": "this gateway has no policies of this kind: a request that counts on one must not go on without it",
    "allowed_model_region": "name a model group whose deployments are all in that region",
    "router_settings_override": "say `fallbacks`, `num_retries` or `timeout` in the request",
}
"""Word -> what to do instead."""

SET_ASIDE: Mapping[str, str] = {
    **dict.fromkeys(("cache", "use-cache"), "no answers are kept here"),
    **dict.fromkeys(("drop_params", "modify_params", "allowed_openai_params"), "the configuration says it"),
    **dict.fromkeys(
        ("litellm_call_id", "litellm_logging_obj", "litellm_disabled_callbacks", "proxy_server_request"),
        "it is a matter of LiteLLM's insides",
    ),
    **dict.fromkeys(("no-log", "no_log", "turn_off_message_logging"), ""),
}
"""Word -> why it changes nothing; "": it holds."""

FOR_THE_ROUTER = BODY_WORDS | {"metadata"}
"""Members of a body that may say something about routing (routing/overrides.py)."""

PRIVATE = frozenset({"no-log", "no_log", "turn_off_message_logging"})
"""With one of these that is true, what was said is not kept, whatever the settings say."""


_ADDRESSES = ("_base", "_url", "_endpoint", "_host")
"""How the names of arguments end that are addresses."""


class Said(Struct, frozen=True):
    """What a client's body said in such words.

    arguments  what holds for this call only (`api_key` ...)
    notes      what was set aside, and why
    private    what was said is not to be kept
    """

    arguments: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    private: bool = False


NOTHING_SAID = Said()


class ClientWords:
    """The words of one snapshot. `addresses`: names of arguments that say where to go and who pays; `allowed`: those
    that a client may bring; `known`: further members that somebody else reads.
    """

    def __init__(self, addresses: Collection[str], allowed: Collection[str], known: Collection[str]) -> None:
        self._addresses = {*addresses, *ADDRESS, "custom_llm_provider"}
        self._allowed = frozenset(allowed) & self._addresses
        self._own = frozenset({*self._addresses, *REFUSED, *SET_ASIDE})
        self.names = self._own | frozenset(known)
        """What must be looked at, if it is in a body."""

    def own(self, members: Collection[str]) -> list[str]:
        """The members that are such words: none of them goes on."""
        return [name for name in members if name in self._own]

    def read(self, given: Mapping[str, Any]) -> Said:
        """What they say; values as Python's. Raises Refused for one that may not be said."""
        arguments: dict[str, str] = {}
        notes: list[str] = []
        private = False
        for name, value in given.items():
            if value in (None, False, "", [], {}):
                continue
            if name in self._addresses:
                arguments[name] = self._brought(name, value)
            elif name in REFUSED:
                raise _refused(name, f"`{name}` is not taken from clients: {REFUSED[name]}")
            elif name in PRIVATE:
                private = True
            else:
                notes.append(f"{name} has no effect: {SET_ASIDE[name]}")
        if arguments and "api_key" not in arguments:
            name = next(iter(arguments))
            raise _refused(name, f"whoever brings `{name}` must bring an `api_key` of their own, too")
        return Said(arguments, tuple(notes), private) if arguments or notes or private else NOTHING_SAID

    def _brought(self, name: str, value: Any) -> str:
        if name not in self._allowed:
            message = (
                f"`{name}` may not come from clients: where requests go and who pays is the operator's to say. Leave "
                f"it out, or have the operator list it in general.allowed_client_arguments"
            )
            raise _refused(name, message)
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise _refused(name, f"`{name}` must be a text of printable ASCII characters")
        if name.endswith(_ADDRESSES) and not value.startswith(("https://", "http://")):  # "unix:" leads to the keeper
            raise _refused(name, f"`{name}` must begin with https:// or http://")
        return value


def _refused(name: str, message: str) -> Refused:
    return Refused("invalid_request", 400, message, param=name)
