"""Options: what the keyword arguments of a call mean, sorted.

A call takes three kinds of arguments in one list: what is for us (this table), what says where to go and who pays
(`api_key`, `aws_region_name` ...: the catalog's rows name these), and what is for the model. Of the last, Chat
Completions knows some; the rest goes into the body of the request as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, ValidationError, convert
from msgspec.structs import replace

from penstock.calls.arguments import mapping_of
from penstock.calls.litellm_words import LITELLMS, in_our_words, is_for_a_model
from penstock.exchange import Timeouts
from penstock.providers.prices import is_price_field
from penstock.types.errors import MalformedError

ADDRESS = frozenset({"api_key", "api_base", "base_url", "api_version", "organization", "project"})
"""Arguments about address and key that every provider may have; the rows of the catalog add their own."""


class Options(Struct, frozen=True, kw_only=True):
    """What a call asks of us.

    custom_llm_provider    the provider, where the model's name does not say it
    base_model             the well-known model behind a deployment's name
    timeout                seconds for the whole call, or a `Timeouts` (connect, first token, between tokens, total);
                           `stream_timeout` is the same for streams only
    num_retries            how often an attempt is repeated after an error that may pass (default 2; `max_retries` is
                           the same)
    fallbacks              models (or dicts of arguments) to try when the first has failed for good
    context_window_fallbacks, content_policy_fallbacks    the same, for these two errors;
                           `context_window_fallback_dict` has them by model: {"openai/small": "openai/large"}
    disable_fallbacks      use none of these, wherever they were set
    drop_params            leave out parameters that the model does not take, instead of raising UnsupportedParamsError
    additional_drop_params parameters to leave out always: names, or paths such as `tools[*].function.strict`
    allowed_openai_params  parameters to send though they are thought not to be supported
    modify_params          mend requests that the provider would refuse for their form
    strict                 refuse where anything would be lost in translation
    extra_headers, extra_query, extra_body    to add to the request
    metadata, tags         for callbacks and logs; `metadata` goes to the provider only beside `store=True`, as its own
                           field of that name (in the calls of other shapes than Chat Completions: always);
                           `litellm_metadata` is for callbacks only, `litellm_trace_id` and `litellm_session_id` are
                           its `trace_id` and `session_id`
    mock_response          answer with this instead of asking anybody: a text, an exception, a ModelResponse
    mock_tool_calls, mock_timeout, mock_delay    more for mocks
    input_cost_per_token, output_cost_per_token, ...    the caller's own prices (any price field of `get_model_info`)
    model_info             the same in a dict, as an entry of a `model_list` has it, with `base_model`; what is said
                           beside it goes before
    max_repairs            how often an answer that does not fit `response_format` is sent back to be mended (default 0)
    enable_json_schema_validation    False: do not check answers against `response_format`
    callbacks              hooks for this call, besides the client's (`penstock.Callback`)
    turn_off_message_logging    do not show callbacks what was said
    client                 an httpx (async) client to use
    litellm_call_id        the id of the call, in `_hidden_params` (default: random)

    `caching`, `cache` and `verbose` are LiteLLM's: they are accepted and change nothing, for the SDK keeps no answers.
    """

    custom_llm_provider: str | None = None
    base_model: str | None = None
    timeout: float | Timeouts | Any = None
    num_retries: int = 2
    fallbacks: Sequence[str | Mapping[str, Any]] = ()
    context_window_fallbacks: Sequence[str | Mapping[str, Any]] = ()
    content_policy_fallbacks: Sequence[str | Mapping[str, Any]] = ()
    disable_fallbacks: bool = False
    drop_params: bool = False
    additional_drop_params: Sequence[str] = ()
    allowed_openai_params: Sequence[str] = ()
    modify_params: bool = False
    strict: bool = False
    extra_headers: Mapping[str, str] | None = None
    extra_query: Mapping[str, str] | None = None
    extra_body: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    tags: Sequence[str] | None = None
    mock_response: Any = None
    mock_tool_calls: Sequence[Any] | None = None
    mock_timeout: bool | None = None
    mock_delay: float | None = None
    max_repairs: int = 0
    callbacks: Sequence[Any] = ()
    turn_off_message_logging: bool = False
    client: Any = None
    litellm_call_id: str | None = None
    enable_json_schema_validation: bool | None = None
    address: Mapping[str, Any] = {}
    prices: Mapping[str, Any] = {}

    def __repr__(self) -> str:
        """No values: keys, headers and prompts are among them, and tracebacks show representations."""
        given = [name for name in self.__struct_fields__ if getattr(self, name) != getattr(_DEFAULTS, name)]
        return f"Options({', '.join(given)})"


_DEFAULTS = Options()

SYNONYMS = {
    "max_retries": "num_retries",
    "headers": "extra_headers",
    "request_timeout": "timeout",
    "http_client": "client",
    "call_id": "litellm_call_id",
}
_CONTROL = frozenset(Options.__struct_fields__) - {"address", "prices"}


def is_price(name: str) -> bool:
    """Whether an argument is one of the caller's own prices."""
    return "cost_per_" in name or name.startswith(("cache_read_input_token_cost", "cache_creation_input_token_cost"))


def _prices_in(info: Mapping[str, Any]) -> dict[str, Any]:
    """The price list in a `model_info`, with the mode that says what its units are; empty where there is no price."""
    found = {name: value for name, value in info.items() if is_price_field(name) and value is not None}
    return {"mode": info["mode"], **found} if found and info.get("mode") else found


def split(arguments: Mapping[str, Any], addresses: frozenset[str], defaults: Options) -> tuple[Options, dict[str, Any]]:
    """(options, everything for the model). Arguments that are None were not given. Raises MalformedError with the
    argument's name.
    """
    control: dict[str, Any] = {}
    address: dict[str, Any] = dict(defaults.address)
    prices: dict[str, Any] = dict(defaults.prices)
    body: dict[str, Any] = {}
    info: dict[str, Any] = {}
    if not LITELLMS.isdisjoint(arguments):
        arguments = in_our_words(arguments, defaults.metadata)
    for name, value in arguments.items():
        known = SYNONYMS.get(name, name)
        if value is None:
            continue
        if known in _CONTROL:
            control[known] = _CHECKS.get(known, _anything)(value, name)
        elif name in addresses or name in ADDRESS:
            address[name] = value
        elif is_price(name):
            prices[name] = value
        elif name == "model_info":
            info = mapping_of(value, name)
        elif is_for_a_model(name):
            body[name] = value
    if info:
        prices = {**_prices_in(info), **prices}
        control = {**({"base_model": info["base_model"]} if info.get("base_model") else {}), **control}
    if not control and not address and not prices:
        return defaults, body
    return replace(defaults, **control, address=address, prices=prices), body


def _anything(value: Any, name: str) -> Any:
    return value


def _integer(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MalformedError(f"expected a whole number, 0 or more, got {value!r}", name)
    return value


def _boolean(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise MalformedError(f"expected True or False, got {value!r}", name)
    return value


def _sequence(value: Any, name: str) -> tuple[Any, ...]:
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        raise MalformedError(f"expected a list, got {type(value).__name__}", name)
    return tuple(value)


_CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "num_retries": _integer,
    "max_repairs": _integer,
    "enable_json_schema_validation": _boolean,
    "turn_off_message_logging": _boolean,
    "disable_fallbacks": _boolean,
    "drop_params": _boolean,
    "modify_params": _boolean,
    "strict": _boolean,
    "fallbacks": _sequence,
    "context_window_fallbacks": _sequence,
    "content_policy_fallbacks": _sequence,
    "additional_drop_params": _sequence,
    "allowed_openai_params": _sequence,
    "tags": _sequence,
    "callbacks": _sequence,
    "extra_headers": mapping_of,
    "extra_query": mapping_of,
    "extra_body": mapping_of,
    "metadata": mapping_of,
}


def timeouts_of(value: Any) -> Timeouts:
    """A `timeout` argument as Timeouts: a number is the deadline for the whole call; a mapping has the fields of
    `Timeouts`; httpx's own kind is understood too.

    Raises MalformedError."""
    if value is None:
        return Timeouts()
    if isinstance(value, Timeouts):
        return value
    if isinstance(value, Mapping):
        try:
            return convert(dict(value), Timeouts)
        except ValidationError as error:
            raise MalformedError(f"expected the fields of penstock.Timeouts: {error}", "timeout") from None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf"):
        return Timeouts(connect=min(10.0, value), first_token=value, between_tokens=value, total=float(value))
    if hasattr(value, "connect") and hasattr(value, "read"):
        return Timeouts(connect=value.connect, first_token=value.read, between_tokens=value.read)
    raise MalformedError(f"expected seconds (a number above 0) or penstock.Timeouts, got {value!r}", "timeout")
