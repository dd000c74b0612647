"""count_tokens: the provider's own counting endpoint. Exact, for the price of a request (none of them charges for it).

The request is rendered in the chat dialect that the endpoint belongs to and cut to what the endpoint takes:

    anthropic_count_tokens    POST /v1/messages/count_tokens            platform.claude.com/docs, "Count tokens"
    gemini_count_tokens       POST /{model}:countTokens, as a whole     ai.google.dev/api/tokens
                              `generateContentRequest`
    vertex_count_tokens       the same on Vertex AI, which takes the fields themselves
    bedrock_count_tokens      POST /model/{model}/count-tokens          docs.aws.amazon.com/bedrock, "CountTokens"
    openai_count_tokens       POST /responses/input_tokens              platform.openai.com/docs/api-reference/responses

A provider without one is not asked: the count is then `token_counter`'s, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from penstock.calls.arguments import messages_of, tool_of
from penstock.calls.betas import place_betas
from penstock.calls.engine import Engine
from penstock.calls.failures import raising
from penstock.calls.options import Options, split
from penstock.calls.prepare import complete
from penstock.calls.tokens import TokenCount, count_request
from penstock.client.api import default_engine
from penstock.client.objects import Answer
from penstock.client.operations import JSON, Body, Operation, Payload, ReadError, arun, run
from penstock.client.schemas import check_tools
from penstock.dialects import registry, wire
from penstock.dialects.dialect import PathMatch
from penstock.dialects.openai_chat import DIALECT as CHAT
from penstock.exchange import Reply
from penstock.providers.endpoint import Endpoint, endpoint
from penstock.providers.errors import ProviderError
from penstock.types.request import Request


class _Counting(Struct, frozen=True):
    """How one endpoint is asked: the dialect of the request, what is sent of it, and where the number stands."""

    dialect: str
    body: Callable[[Body, str], Body]
    field: str


def _fields(*names: str) -> Callable[[Body, str], Body]:
    def chosen(body: Body, model: str) -> Body:
        return {name: body[name] for name in names if name in body}

    return chosen


_GEMINI = _fields("contents", "systemInstruction", "tools", "toolConfig", "generationConfig")
_CONVERSE = _fields("messages", "system", "toolConfig", "additionalModelRequestFields")

_ENDPOINTS: dict[str, _Counting] = {
    "anthropic_count_tokens": _Counting(
        "anthropic_messages",
        _fields("model", "messages", "system", "tools", "tool_choice", "thinking", "mcp_servers", "output_config"),
        "input_tokens",
    ),
    "gemini_count_tokens": _Counting(
        "gemini",
        lambda body, model: {"generateContentRequest": {"model": model, **_GEMINI(body, model)}},
        "totalTokens",
    ),
    "vertex_count_tokens": _Counting("gemini", _fields("contents", "systemInstruction", "tools"), "totalTokens"),
    "bedrock_count_tokens": _Counting(
        "bedrock_converse", lambda body, model: {"input": {"converse": _CONVERSE(body, model)}}, "inputTokens"
    ),
    "openai_count_tokens": _Counting(
        "openai_responses",
        _fields("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning"),
        "input_tokens",
    ),
}


class CountedTokens(Answer):
    """The provider's answer: `input_tokens`, and which endpoint said so."""

    input_tokens: int
    format: str


def _encode(body: Body, target: Endpoint, options: Options) -> Payload:
    counting = _ENDPOINTS[target.format]
    request: Request = replace(body["request"], model=target.wire_model)
    rendered = registry.get(counting.dialect).render_request(request, target.profile)
    target, _ = place_betas(rendered.value, target, options.extra_headers)
    sent = complete(counting.body(rendered.value, target.wire_model), target, options)
    return Payload(target, wire.encode(sent), JSON, rendered.notes)


def _read(reply: Reply, target: Endpoint) -> CountedTokens:
    value = wire.obj(wire.decode(reply.body))
    tokens = wire.integer(value.get(_ENDPOINTS[target.format].field))
    return CountedTokens({"input_tokens": tokens, "format": target.format})


def _errors(wire_format: str) -> ReadError:
    return registry.get(_ENDPOINTS[wire_format].dialect).parse_error


COUNT: Operation[CountedTokens] = Operation("count_tokens", "count_tokens", _encode, _read, errors=_errors)


def count_tokens(
    model: str,
    messages: Sequence[Any],
    tools: Sequence[Any] | None = None,
    system: str | None = None,
    *,
    client: Any = None,
    **arguments: Any,
) -> TokenCount:
    """How many input tokens the provider counts for a request.

    model              "provider/model"
    messages, tools    in OpenAI's shape; Python functions and answers of earlier calls as they are
    system             instructions beside the messages
    client             a `Client` to ask with
    **arguments        keys, addresses and other options of `completion`

    Returns a TokenCount. It is exact where the provider counted; of a provider that has no such endpoint it is the
    estimate of `token_counter`. Raises the exceptions of `completion`.
    """
    engine: Engine = default_engine() if client is None else client.engine
    request, given = _prepared(engine, model, messages, tools, system, arguments)
    if given is None:
        return count_request(request, model)
    return _count(run(engine, COUNT, given))


async def acount_tokens(
    model: str,
    messages: Sequence[Any],
    tools: Sequence[Any] | None = None,
    system: str | None = None,
    *,
    client: Any = None,
    **arguments: Any,
) -> TokenCount:
    """`count_tokens` from a coroutine; `client` is an `AsyncClient`."""
    engine: Engine = default_engine() if client is None else client.engine
    request, given = _prepared(engine, model, messages, tools, system, arguments)
    if given is None:
        return count_request(request, model)
    return _count(await arun(engine, COUNT, given))


def _count(answer: CountedTokens) -> TokenCount:
    return TokenCount(answer.input_tokens, exact=True, method=f"provider:{answer.format}")


def _prepared(
    engine: Engine,
    model: str,
    messages: Sequence[Any],
    tools: Sequence[Any] | None,
    system: str | None,
    arguments: Body,
) -> tuple[Request, Body | None]:
    """(the request, the arguments of the operation, or None where the provider has no endpoint)."""
    with raising(arguments.get("custom_llm_provider") or "", model):
        body: Body = {"messages": messages_of(messages)}
        if system is not None:
            body["messages"].insert(0, {"role": "system", "content": system})
        if tools:
            body["tools"] = [tool_of(tool) for tool in tools]
        request = CHAT.parse_request(body, PathMatch())
        check_tools(request.tools)
        options, _ = split(arguments, engine.addresses, engine.defaults)
        if not _is_counted(engine, model, options):
            return request, None
    return request, {**arguments, "model": model, "request": request}


def _is_counted(engine: Engine, model: str, options: Options) -> bool:
    """Whether the provider counts for this model. Raises ProviderError where the provider is unknown."""
    resolved = engine.resolve(model, options)
    try:
        target = endpoint(
            resolved.provider,
            "count_tokens",
            resolved.model,
            parameters=options.address,
            environment=engine.environment,
            base_model=options.base_model or resolved.base_model,
        )
    except ProviderError as error:
        return error.kind != "unsupported_capability"  # any other one will be raised by the call itself
    return target.format in _ENDPOINTS
