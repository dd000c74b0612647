"""Bad input, over every dialect: each gets a clear exception of the tree that says whose turn it is, and loses nothing.

The cases are those of the project's list: unknown model, no key, wrong types, a reply that is not JSON, a cut stream, a
200 with an error inside, an image at a private address, a tool whose schema is invalid. And no exception shows a key, a
token or a prompt.
"""

from __future__ import annotations

import asyncio
import base64
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock import Client, exceptions
from penstock.testing.providers import (
    Cut,
    EmptyEvent,
    ErrorEvent,
    Malformed,
    NotJSON,
    ProviderError,
    Reply,
    SimulatedProviders,
    Truncated,
)
from tests.support.callers import DIALECTS, MODELS, SAY, async_client_of, client_of, content

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedProviders]:
    with SimulatedProviders(strict=False) as simulated:
        yield simulated


@pytest.fixture
def providers(server: SimulatedProviders) -> SimulatedProviders:
    server.clear()
    server.requests.clear()
    return server


def ask(client: Any, dialect: str, **more: Any) -> Any:
    arguments = {"model": MODELS[dialect], "messages": SAY, **more}
    return client.chat.completions.create(**arguments)


# -- an unknown model -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "near"),
    [
        ("opneai/gpt-4o", "openai/gpt-4o"),
        ("antropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("txt-embedding-3-small", "text-embedding-3-small"),
    ],
)
def test_an_unknown_model_is_told_the_nearest(model: str, near: str) -> None:
    with Client(environment={}) as client, pytest.raises(exceptions.UnknownModelError) as caught:
        client.chat.completions.create(model=model, messages=SAY)
    assert near in caught.value.message
    assert caught.value.status_code == 400


@pytest.mark.parametrize(
    ("model", "near"), [("gpt-4oo", "gpt-4o"), ("openai/gpt-4oo", "gpt-4o"), ("openai/gpt-4o-mni", "gpt-4o-mini")]
)
def test_a_model_that_only_the_provider_can_judge_is_told_the_nearest_too(
    providers: SimulatedProviders, model: str, near: str
) -> None:
    providers.script(Reply.error(404, kind="unknown_model"))
    with client_of(providers, "openai_chat") as client, pytest.raises(exceptions.NotFoundError) as caught:
        client.chat.completions.create(model=model, messages=SAY)
    assert f"Did you mean {near}" in caught.value.message


@pytest.mark.parametrize("model", ["", "   ", "no-such-model-of-any-kind", "/", "nobody/"])
def test_a_model_that_resembles_none_says_how_to_write_one(model: str) -> None:
    with Client(environment={}) as client, pytest.raises(exceptions.BadRequestError, match=r"provider/model|Name one"):
        client.chat.completions.create(model=model, messages=SAY)


# -- no key -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "variable"),
    [
        ("openai_chat", "OPENAI_API_KEY"),
        ("openai_responses", "OPENAI_API_KEY"),
        ("anthropic_messages", "ANTHROPIC_API_KEY"),
        ("gemini", "GEMINI_API_KEY"),
        ("bedrock_converse", "AWS_"),
        ("cohere_chat", "COHERE_API_KEY"),
    ],
)
def test_a_missing_key_names_the_variable_to_set(dialect: str, variable: str) -> None:
    environment = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent", "AWS_REGION": "us-east-1"}
    with Client(environment=environment) as client, pytest.raises(exceptions.AuthenticationError) as caught:
        ask(client, dialect)
    assert variable in caught.value.message
    assert (caught.value.status_code, caught.value.tried[0].sent) == (401, False)


# -- wrong types ------------------------------------------------------------------------------------------------------


@every_dialect
@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"messages": "Hello"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"content": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0]"),
        ({"messages": [*SAY, 7]}, "messages[1]"),
        ({"tools": {"name": "x"}}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"stop": 3}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"model": 7}, "model"),
        ({"timeout": "soon"}, "timeout"),
        ({"num_retries": -1}, "num_retries"),
        ({"extra_headers": "x: y"}, "extra_headers"),
        ({"drop_params": "yes"}, "drop_params"),
        ({"fallbacks": "gpt-4o"}, "fallbacks"),
    ],
)
def test_a_wrong_type_names_the_parameter(
    providers: SimulatedProviders, dialect: str, wrong: dict[str, Any], name: str
) -> None:
    with client_of(providers, dialect) as client, pytest.raises(exceptions.BadRequestError) as caught:
        ask(client, dialect, **wrong)
    assert name in caught.value.message
    assert providers.requests == [], "nothing was sent"


# -- a reply that is no JSON ------------------------------------------------------------------------------------------


@every_dialect
@pytest.mark.parametrize("reply", [Reply.html(), Reply.empty(), Reply.native(b'{"id": "x", "choi')])
def test_a_reply_that_is_not_json_is_shown(providers: SimulatedProviders, dialect: str, reply: Reply) -> None:
    providers.script(reply)
    with client_of(providers, dialect) as client, pytest.raises(exceptions.APIResponseValidationError) as caught:
        ask(client, dialect)
    error = caught.value
    assert error.tried[-1].sent
    assert error.body is not None
    assert (reply.body or b"").decode()[:60] in error.message, "it shows what came"


_NO_ANSWERS = (b"null", b"[]", b'"text"', b"7", b"{}")


@pytest.mark.parametrize(
    ("dialect", "value"),
    [
        (dialect, value)
        for dialect in DIALECTS
        for value in _NO_ANSWERS
        # protobuf's JSON leaves empty fields out: an answer of Gemini's without candidates is {}
        if (dialect, value) != ("gemini", b"{}")
    ],
)
def test_json_that_is_no_answer(providers: SimulatedProviders, dialect: str, value: bytes) -> None:
    providers.script(Reply.native(value))
    with client_of(providers, dialect) as client, pytest.raises(exceptions.APIResponseValidationError):
        ask(client, dialect)


@every_dialect
def test_a_proxy_that_speaks_html_with_an_error_status(providers: SimulatedProviders, dialect: str) -> None:
    providers.script(Reply.html(502))
    with client_of(providers, dialect) as client, pytest.raises(exceptions.BadGatewayError) as caught:
        ask(client, dialect)
    assert caught.value.status_code == 502


# -- a cut stream -----------------------------------------------------------------------------------------------------

MIDDLE = {"openai_responses": 6, "gemini": 2}
"""Events after which a stream has said something, and not all (of other dialects: 4)."""
_LONG = Reply.text("one two three four", pieces=["one ", "two ", "three ", "four"])


def listen(client: Any, dialect: str, heard: list[str], **more: Any) -> None:
    for chunk in ask(client, dialect, stream=True, **more):
        heard.extend(choice.delta.content or "" for choice in chunk.choices)


@every_dialect
@pytest.mark.parametrize(
    "fault",
    [
        lambda after: Cut(after=after),
        lambda after: Cut(after=after, inside="event"),
        lambda after: Cut(after=after, reset=True),
        lambda after: Truncated(after=after),
    ],
    ids=["between events", "inside an event", "reset", "ended without an end"],
)
def test_a_cut_stream_raises_with_what_arrived(
    providers: SimulatedProviders, dialect: str, fault: Callable[[int], Any]
) -> None:
    ends: list[type[object]] = []
    for after in range(1, 12):
        heard: list[str] = []
        providers.script(_LONG.with_faults(fault(after)))
        with client_of(providers, dialect) as client:
            error = failure_of(lambda: listen(client, dialect, heard))  # noqa: B023  # called at once
        ends.append(type(error))
        if isinstance(error, exceptions.StreamInterruptedError):
            said = "".join(choice.message.content or "" for choice in error.partial.choices)
            assert said == "".join(heard)
            assert "one two three four".startswith(said)
        elif isinstance(error, exceptions.APIConnectionError):
            assert heard == [] and error.tried, "before its first piece it is a failed attempt like any other"
        else:
            assert error is None
            assert "".join(heard) == "one two three four", "whole, for the fault came after the end"
    assert exceptions.StreamInterruptedError in ends, "no fault fell into the middle of the answer"


def failure_of(work: Callable[[], None]) -> exceptions.PenstockError | None:
    """The exception that it raises, if it does."""
    try:
        work()
    except exceptions.PenstockError as error:
        return error
    return None


@every_dialect
def test_a_stream_cut_in_the_middle_has_something_to_show(providers: SimulatedProviders, dialect: str) -> None:
    heard: list[str] = []
    providers.script(_LONG.with_faults(Truncated(after=MIDDLE.get(dialect, 4))))
    with client_of(providers, dialect) as client, pytest.raises(exceptions.StreamInterruptedError) as caught:
        listen(client, dialect, heard)
    assert "".join(heard) == caught.value.partial.choices[0].message.content != ""
    assert caught.value.llm_provider


@every_dialect
def test_a_malformed_chunk(providers: SimulatedProviders, dialect: str) -> None:
    heard: list[str] = []
    providers.script(_LONG.with_faults(Malformed(after=MIDDLE.get(dialect, 4))))
    with client_of(providers, dialect) as client, pytest.raises(exceptions.PenstockError) as caught:
        listen(client, dialect, heard)
    error: Any = caught.value
    assert type(error).__name__ in ("APIConnectionError", "APIResponseValidationError")
    assert error.partial.choices[0].message.content == "".join(heard)


@every_dialect
def test_a_chunk_that_is_no_json(providers: SimulatedProviders, dialect: str) -> None:
    heard: list[str] = []
    providers.script(_LONG.with_faults(NotJSON(after=MIDDLE.get(dialect, 4))))
    with client_of(providers, dialect) as client, pytest.raises(exceptions.PenstockError):
        listen(client, dialect, heard)


@every_dialect
def test_an_empty_chunk_is_harmless(providers: SimulatedProviders, dialect: str) -> None:
    providers.script(_LONG.with_faults(EmptyEvent(after=3)))
    with client_of(providers, dialect) as client:
        assert content(ask(client, dialect, stream=True)) == "one two three four"


# -- a 200 with an error inside ---------------------------------------------------------------------------------------


@every_dialect
@pytest.mark.parametrize(("status", "expected"), [(429, exceptions.RateLimitError), (500, exceptions.PenstockError)])
def test_an_error_inside_a_200(
    providers: SimulatedProviders, dialect: str, status: int, expected: type[Exception]
) -> None:
    providers.script(Reply.text("x").with_faults(ErrorEvent(ProviderError(status, "It went wrong"))))
    with client_of(providers, dialect) as client, pytest.raises(exceptions.PenstockError) as caught:
        ask(client, dialect)
    assert "It went wrong" in caught.value.message
    if dialect not in ("bedrock_converse", "cohere_chat", "ollama_chat"):  # these name it nowhere but in the status
        assert isinstance(caught.value, expected)


@every_dialect
def test_an_error_as_the_first_event_of_a_stream(providers: SimulatedProviders, dialect: str) -> None:
    providers.script(Reply.text("x").with_faults(ErrorEvent(ProviderError(500, "It went wrong"), after=0)))
    with client_of(providers, dialect) as client, pytest.raises(exceptions.PenstockError, match="It went wrong"):
        listen(client, dialect, [])


@every_dialect
def test_an_error_in_the_middle_of_a_stream(providers: SimulatedProviders, dialect: str) -> None:
    heard: list[str] = []
    providers.script(_LONG.with_faults(ErrorEvent(ProviderError(500, "It went wrong"), after=MIDDLE.get(dialect, 4))))
    with client_of(providers, dialect) as client, pytest.raises(exceptions.PenstockError) as caught:
        listen(client, dialect, heard)
    error: Any = caught.value
    assert "It went wrong" in error.message
    assert error.partial.choices[0].message.content == "".join(heard) != ""


# -- an image at a private address ------------------------------------------------------------------------------------

FETCHING = ("bedrock_converse", "ollama_chat")
"""Hosts that take no web address: the SDK would have to fetch it."""


@pytest.mark.parametrize("dialect", FETCHING)
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "169.254.169.254", "[::1]", "10.0.0.1", "0x7f.1", "2130706433", "metadata.invalid"],
)
def test_an_image_at_a_private_address_is_refused(providers: SimulatedProviders, dialect: str, host: str) -> None:
    url = f"http://{host}:{providers.port}/secret.png?token=abc"
    image = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": url}}]
    with client_of(providers, dialect) as client, pytest.raises(exceptions.ImageFetchError) as caught:
        ask(client, dialect, messages=[{"role": "user", "content": image}])
    assert caught.value.status_code == 400
    assert host in caught.value.message and "was not fetched" in caught.value.message
    assert "data: URL" in caught.value.message, "it says what to do instead"
    assert "abc" not in str(caught.value)
    assert providers.requests == [], "nobody was asked: not the image's host, not the provider"


# -- a tool whose schema is invalid -----------------------------------------------------------------------------------


@every_dialect
@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "strnig"},
        {"type": "object", "properties": ["city"]},
        {"type": "object", "properties": {"city": {"type": "text"}}},
        {"type": "object", "required": "city"},
        "city",
    ],
)
def test_an_invalid_schema_names_the_tool(providers: SimulatedProviders, dialect: str, parameters: Any) -> None:
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": parameters}}
    with client_of(providers, dialect) as client, pytest.raises(exceptions.BadRequestError) as caught:
        ask(client, dialect, tools=[tool])
    assert "tools[0]" in caught.value.message
    assert providers.requests == []


# -- no secret is shown -----------------------------------------------------------------------------------------------

_KEY, _PROMPT, _HEADER, _SESSION, _IMAGE = (f"fake-MARK-{what}" for what in ("key", "said", "head", "token", "image"))
_SECRETS = (_KEY, _PROMPT, _HEADER, _SESSION, _IMAGE)


@every_dialect
@pytest.mark.parametrize(
    "failure",
    [
        *(Reply.error(status) for status in (400, 401, 403, 404, 413, 422, 429, 500, 503)),
        Reply.html(),
        Reply.empty(),
        Reply.text("x").with_faults(Cut(after=0)),
        Reply.text("x").with_faults(ErrorEvent(ProviderError(500), after=0)),
        Reply.native(b"null"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_no_exception_shows_a_key_or_a_prompt(
    providers: SimulatedProviders, dialect: str, failure: Reply, stream: bool
) -> None:
    image = base64.b64encode(_IMAGE.encode() * 9).decode()
    parts = [
        {"type": "text", "text": _PROMPT},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}},
    ]
    keys = {} if dialect == "ollama_chat" else {"api_key": _KEY}
    providers.script(failure)
    arguments = {"messages": [{"role": "user", "content": parts}], "extra_headers": {"x-secret": _HEADER}}
    with client_of(providers, dialect, **keys) as client, pytest.raises(exceptions.PenstockError) as caught:
        list(ask(client, dialect, stream=stream, **arguments))
    assert _shown(caught.value, image) == []


@every_dialect
@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": "hot"},
        {"tools": [{"type": "function"}]},
        {"timeout": "soon"},
        {"messages": [{"role": "user", "content": _PROMPT}, {"role": 7}]},
        {"messages": [{"role": "user", "content": [{"type": "MARK-no", "text": _PROMPT}]}, 5]},
        {"model": "nobody/nothing"},
    ],
)
def test_no_exception_about_the_request_shows_a_key_or_a_prompt(
    providers: SimulatedProviders, dialect: str, wrong: dict[str, Any]
) -> None:
    arguments = {"messages": [{"role": "user", "content": _PROMPT}], "api_key": _KEY, **wrong}
    with client_of(providers, dialect) as client, pytest.raises(exceptions.PenstockError) as caught:
        ask(client, dialect, **arguments)
    assert _shown(caught.value) == []


def test_no_exception_about_credentials_shows_them(providers: SimulatedProviders) -> None:
    keys = {"aws_access_key_id": "AKIAMARKID", "aws_secret_access_key": _KEY, "api_key": None}
    session = {"aws_session_token": _SESSION}
    providers.script(Reply.error(403))
    client = client_of(providers, "bedrock_converse", **keys, **session)
    with client, pytest.raises(exceptions.PenstockError) as caught:
        ask(client, "bedrock_converse")
    assert _shown(caught.value) == []
    sent = providers.last
    assert sent.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIAMARKID")
    assert sent.headers["x-amz-security-token"] == _SESSION
    assert b"MARK" not in sent.body, "what is for the signature is not for the body"


def _shown(error: BaseException, *more: str) -> list[str]:
    """The secrets that an exception shows, in its text, its fields or its traceback."""
    text = "".join(traceback.format_exception(error)) + repr(error) + str(error)
    parts = [text, *(repr(value) for name, value in vars(error).items() if name != "body")]
    return [secret for secret in (*_SECRETS, *more) if any(secret in part for part in parts)]


# -- the same from a coroutine ----------------------------------------------------------------------------------------


@every_dialect
def test_coroutines_get_the_same(providers: SimulatedProviders, dialect: str) -> None:
    async def main() -> list[BaseException]:
        found: list[BaseException] = []
        async with async_client_of(providers, dialect) as client:
            for reply, stream in (
                (Reply.error(429), False),
                (Reply.html(), False),
                (_LONG.with_faults(Truncated(after=MIDDLE.get(dialect, 4))), True),
                (Reply.text("x").with_faults(ErrorEvent(ProviderError(500), after=0)), True),
            ):
                providers.script(reply)
                try:
                    answer = await ask(client, dialect, stream=stream)
                    async for _ in answer:
                        pass
                except exceptions.PenstockError as error:
                    found.append(error)
        return found

    limit, html, cut, inside = asyncio.run(main())
    assert isinstance(limit, exceptions.RateLimitError)
    assert isinstance(html, exceptions.APIResponseValidationError)
    assert isinstance(cut, exceptions.StreamInterruptedError) and cut.partial.choices[0].message.content
    assert isinstance(inside, exceptions.PenstockError)
