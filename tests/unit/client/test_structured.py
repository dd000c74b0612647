"""Structured output: what may be asked for, how each dialect asks, that every answer is judged, and that one that does
not fit is mended or refused with all that came.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

import penstock
from penstock import JSONSchemaValidationError, acompletion
from penstock.client.structured import Misfit, parse, strict_schema, wanted_of
from penstock.testing.providers import Reply, SimulatedProviders, ToolCall
from tests.support.targets import GROQ, TARGETS, Target, every_dialect, simulating

completion: Any = penstock.completion
ASK: list[Any] = [{"role": "user", "content": "Who are you?"}]
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
GOOD, BAD = {"name": "Ada", "age": 36}, {"name": "Ada", "age": "many"}


class Pydantic(pydantic.BaseModel):
    name: str
    age: int


class Struct(msgspec.Struct):
    name: str
    age: int


@dataclasses.dataclass
class Data:
    name: str
    age: int


class Typed(TypedDict):
    name: str
    age: int


WAYS: list[tuple[Any, Any]] = [
    (Pydantic, Pydantic(name="Ada", age=36)),
    (Struct, Struct("Ada", 36)),
    (Data, Data("Ada", 36)),
    (Typed, GOOD),
    (SCHEMA, GOOD),
    ({"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA, "strict": True}}, GOOD),
]


@pytest.mark.parametrize(
    ("way", "instance"), WAYS, ids=["pydantic", "struct", "dataclass", "typed dict", "schema", "own"]
)
def test_what_is_asked_for_is_what_comes(way: Any, instance: Any) -> None:
    with simulating() as simulated:
        simulated.script(Reply.structured(GOOD))
        answer = completion(messages=ASK, response_format=way, **TARGETS[0].arguments(simulated))
        sent = simulated.last.json["response_format"]
    assert answer.choices[0].message.parsed == instance
    assert sent["type"] == "json_schema"
    assert set(sent["json_schema"]["schema"]["properties"]) == {"name", "age"}


WORD = {"type": "string"}
CLOSED = {"type": "object", "properties": {"a": WORD}, "required": ["a"], "additionalProperties": False}
OPEN = {"type": "object", "properties": {"a": WORD}, "required": ["a"]}
OPTIONAL = {"type": "object", "properties": {"a": WORD}}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (WORD, WORD),
        ({"enum": ["a", "b"]}, {"enum": ["a", "b"]}),
        ({**WORD, "default": "x"}, WORD),
        (CLOSED, CLOSED),
        (OPEN, CLOSED),
        ({"properties": {"a": WORD}, "required": ["a"]}, {key: CLOSED[key] for key in CLOSED if key != "type"}),
        ({"type": "object", "properties": {}}, {**CLOSED, "properties": {}, "required": []}),
        ({**OPEN, "properties": {"a": OPEN}}, {**CLOSED, "properties": {"a": CLOSED}}),
        ({**OPEN, "$defs": {"x": OPEN}}, {**CLOSED, "$defs": {"x": CLOSED}}),
        ({**OPEN, "definitions": {"x": OPEN}}, {**CLOSED, "definitions": {"x": CLOSED}}),
        ({"type": "array", "items": OPEN}, {"type": "array", "items": CLOSED}),
        ({"type": "array", "prefixItems": [WORD, OPEN]}, {"type": "array", "prefixItems": [WORD, CLOSED]}),
        ({"anyOf": [OPEN, {"type": "null"}]}, {"anyOf": [CLOSED, {"type": "null"}]}),
        (OPTIONAL, None),
        ({**OPEN, "additionalProperties": True}, None),
        ({**OPEN, "additionalProperties": WORD}, None),
        ({"type": "object"}, None),
        ({}, None),
        (True, None),
        *[
            (outer, None)
            for inner in (OPTIONAL, {"type": "object"}, {})
            for outer in (
                {**OPEN, "properties": {"a": inner}},
                {**OPEN, "$defs": {"x": inner}},
                {"type": "array", "items": inner},
                {"anyOf": [WORD, inner]},
            )
        ],
    ],
)
def test_a_schema_is_strict_only_if_it_allows_the_same(schema: Any, strict: Any) -> None:
    assert strict_schema(schema) == strict


class Node(msgspec.Struct):
    name: str
    children: list[Node]


class Author(msgspec.Struct):
    name: str
    books: list[Book]


class Book(msgspec.Struct):
    title: str
    author: Author | None


class Shelf(msgspec.Struct):
    books: list[Struct]


@pytest.mark.parametrize(
    ("kind", "value", "named"),
    [
        (Node, {"name": "a", "children": [{"name": "b", "children": []}]}, {"Node"}),
        (Author, {"name": "a", "books": [{"title": "t", "author": {"name": "b", "books": []}}]}, {"Author", "Book"}),
        (Shelf, {"books": [GOOD]}, {"Struct"}),
        (Struct, GOOD, set()),
    ],
)
def test_a_type_may_refer_to_itself_and_to_others(kind: Any, value: Any, named: set[str]) -> None:
    wanted = wanted_of(kind)
    assert wanted is not None and wanted.schema is not None
    assert set(wanted.schema.get("$defs", {})) == named
    assert set(wanted.schema["properties"]) == set(value)
    assert parse(wanted, json.dumps(value)) == msgspec.convert(value, kind)
    with pytest.raises(Misfit):
        parse(wanted, json.dumps({**value, next(iter(value)): 7}))


@pytest.mark.parametrize("given", [{"type": "json_schema"}, {"type": "json_schema", "json_schema": "x"}, {"type": "x"}])
def test_a_format_without_a_schema_is_left_to_the_dialect(given: dict[str, Any]) -> None:
    assert wanted_of(given) is None


@every_dialect
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_every_dialect_asks_and_is_judged(target: Target, stream: bool) -> None:
    with simulating() as simulated:
        simulated.script(Reply.structured(GOOD), Reply.structured(BAD))
        arguments = target.arguments(simulated) | {"messages": ASK, "response_format": Data, "stream": stream}
        assert whole(completion(**arguments)).choices[0].message.parsed == Data("Ada", 36)
        with pytest.raises(JSONSchemaValidationError) as caught:
            whole(completion(**arguments))
    assert json.loads(caught.value.raw_response) == BAD
    assert caught.value.errors == ("age: expected integer, got a string",)
    assert json.loads(caught.value.completion.choices[0].message.content) == BAD


def whole(answer: Any) -> Any:
    """The answer, of a stream once it has ended."""
    if isinstance(answer, penstock.Stream):
        list(answer)
        return answer.response
    return answer


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_host_without_a_schema_mode_is_asked_by_a_tool(stream: bool) -> None:
    with simulating() as simulated:
        simulated.script(Reply.tool_calls(ToolCall("json_tool_call", GOOD)))
        arguments = GROQ.arguments(simulated) | {"messages": ASK, "response_format": Data, "stream": stream}
        given = completion(**arguments)
        if stream:
            chunks = [chunk for chunk in given if chunk.choices]
            assert json.loads("".join(chunk.choices[0].delta.content or "" for chunk in chunks)) == GOOD
            assert all(chunk.choices[0].delta.tool_calls is None for chunk in chunks)
        answer = given.response if stream else given
        sent = simulated.last.json
    message = answer.choices[0].message
    assert message.parsed == Data("Ada", 36)
    assert json.loads(message.content) == GOOD
    assert message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "json_tool_call"}}
    assert "response_format" not in sent


def test_a_tool_of_the_callers_beside_the_one_that_takes_the_answer() -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    with simulating() as simulated:
        simulated.script(Reply.tool_calls(ToolCall("look", {})))
        answer = completion(messages=ASK, response_format=Data, tools=[tool], **GROQ.arguments(simulated))
        sent = simulated.last.json
    assert [call.function.name for call in answer.choices[0].message.tool_calls] == ["look"]
    assert answer.choices[0].message.parsed is None
    assert answer.choices[0].finish_reason == "tool_calls"
    assert sent["tool_choice"] == "required"


@every_dialect
def test_an_answer_that_does_not_fit_is_mended(target: Target) -> None:
    with simulating() as simulated:
        simulated.script(Reply.structured(BAD), Reply.structured(GOOD))
        answer = completion(messages=ASK, response_format=Data, max_repairs=2, **target.arguments(simulated))
        second = simulated.last.body.decode()
        asked = len(simulated.requests)
    assert answer.choices[0].message.parsed == Data("Ada", 36)
    assert asked == 2
    assert "expected integer, got a string" in second
    assert "many" in second, "the model sees what it said"


def test_it_is_mended_from_a_coroutine_too() -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("I am Ada."), Reply.structured(GOOD))
        arguments = TARGETS[0].arguments(simulated) | {"messages": ASK, "response_format": Data}
        answer: Any = asyncio.run(acompletion(max_repairs=1, **arguments))
    assert answer.choices[0].message.parsed == Data("Ada", 36)
    assert answer._hidden_params["repairs"] == 1


def test_all_tries_are_paid_for() -> None:
    with simulating() as simulated:
        arguments = TARGETS[0].arguments(simulated) | {"messages": ASK, "response_format": Data, "max_repairs": 1}
        simulated.script(Reply.structured(GOOD))
        one = completion(**arguments)
        simulated.script(Reply.structured(BAD), Reply.structured(GOOD))
        two = completion(**arguments)
    first, last = two._hidden_params["repaired_usage"][0], two.usage
    assert one._hidden_params["response_cost"] < two._hidden_params["response_cost"]
    assert two._hidden_params["response_cost"] == pytest.approx(
        (first.prompt_tokens + last.prompt_tokens) * 2.5e-6 + (first.completion_tokens + last.completion_tokens) * 1e-5
    )


def test_mending_has_a_bound() -> None:
    with simulating() as simulated:
        simulated.script(*[Reply.structured(BAD)] * 3)
        with pytest.raises(JSONSchemaValidationError, match="after 2 repairs"):
            completion(messages=ASK, response_format=Data, max_repairs=2, **TARGETS[0].arguments(simulated))


def test_an_answer_that_was_cut_is_not_sent_back() -> None:
    with simulating() as simulated:
        simulated.script(Reply.text('{"name": "A').stopping("length"))
        with pytest.raises(JSONSchemaValidationError, match="max_tokens"):
            completion(messages=ASK, response_format=Data, max_repairs=5, **TARGETS[0].arguments(simulated))


@pytest.mark.parametrize(
    "reply", [Reply.refusal("No."), Reply.tool_calls(ToolCall("look", {}))], ids=["refusal", "tool call"]
)
def test_a_model_that_did_something_else_is_not_judged(reply: Reply) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    with simulating() as simulated:
        simulated.script(reply)
        answer = completion(messages=ASK, response_format=Data, tools=[tool], **TARGETS[0].arguments(simulated))
    assert answer.choices[0].message.parsed is None


def test_what_was_parsed_stays_with_us() -> None:
    """It is no field of the message: the message can go back to the provider as it is."""
    with simulating() as simulated:
        simulated.script(Reply.structured(GOOD), Reply.text("fine"))
        arguments = TARGETS[0].arguments(simulated)
        answer = completion(messages=ASK, response_format=Pydantic, **arguments)
        completion(messages=[*ASK, answer.choices[0].message, {"role": "user", "content": "Go on"}], **arguments)
        sent = simulated.last.json["messages"][1]
    assert "parsed" not in sent
    assert "parsed" not in answer.model_dump_json()


def test_any_json_has_no_schema_to_break() -> None:
    given = {"messages": ASK, "response_format": {"type": "json_object"}}
    assert completion("demo", mock_response='{"a": 1}', **given).choices[0].message.parsed == {"a": 1}
    assert completion("demo", mock_response="no JSON", **given).choices[0].message.parsed is None


def test_judging_can_be_turned_off() -> None:
    answer = completion("demo", ASK, mock_response="no JSON", response_format=Data, enable_json_schema_validation=False)
    assert answer.choices[0].message.content == "no JSON"
    assert answer.choices[0].message.parsed is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"type": "object", "properties": {"a": {"type": "strin"}}}, "strin"),
        (3, "response_format"),
        (int, "response_format"),
    ],
)
def test_what_is_no_schema_is_refused_before_anybody_is_asked(given: Any, said: str) -> None:
    with SimulatedProviders() as simulated, pytest.raises(penstock.BadRequestError, match=said):
        completion(messages=ASK, response_format=given, **TARGETS[0].arguments(simulated))
    assert simulated.requests == []


@every_dialect
def test_a_tool_without_a_valid_schema_is_refused(target: Target) -> None:
    broken = {"type": "object", "properties": {"city": {"type": "text"}}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": broken}}
    with simulating() as simulated:
        with pytest.raises(penstock.BadRequestError) as caught:
            completion(messages=ASK, tools=[tool], **target.arguments(simulated))
        assert simulated.requests == []
    assert "'weather'" in caught.value.message
    assert "schema.properties.city.type" in caught.value.message
    assert caught.value.param == "tools[0].function.parameters"


@pytest.mark.parametrize("value", [-1, "2", True])
def test_a_wrong_bound_names_the_argument(value: Any) -> None:
    with pytest.raises(penstock.BadRequestError, match="max_repairs"):
        completion("demo", ASK, mock_response=json.dumps(GOOD), response_format=Data, max_repairs=value)


# -- the Responses API ------------------------------------------------------------------------------------------------

RESPONSES = TARGETS[1]
FITS, MISFITS = '{"city": "Paris", "degrees": 21}', '{"city": "Paris"}'


class Weather(pydantic.BaseModel):
    city: str
    degrees: int


FLAT = {"type": "json_schema", "name": "weather", "schema": Weather.model_json_schema()}


def asked_by(how: str, wanted: Any) -> dict[str, Any]:
    return {"text_format": wanted} if how == "text_format" else {"text": {"format": wanted, "verbosity": "low"}}


@pytest.mark.parametrize("target", TARGETS[:-1], ids=lambda target: target.dialect)  # Ollama is asked at its /v1
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_responses_are_judged_in_every_dialect(target: Target, stream: bool) -> None:
    with simulating() as simulated:
        simulated.script(Reply.structured(json.loads(FITS)), Reply.structured(json.loads(MISFITS)))
        arguments = {"input": "Where?", "text_format": Weather, "stream": stream, **target.arguments(simulated)}
        assert whole(penstock.responses(**arguments)).output_parsed == Weather(city="Paris", degrees=21)
        with pytest.raises(JSONSchemaValidationError, match="'degrees' is missing") as caught:
            whole(penstock.responses(**arguments))
    assert json.loads(caught.value.raw_response) == json.loads(MISFITS)
    assert caught.value.completion.output_text == caught.value.raw_response


@pytest.mark.parametrize(
    ("how", "wanted", "kind", "parsed"),
    [
        ("text_format", Weather, "json_schema", Weather(city="Paris", degrees=21)),
        ("text_format", Weather.model_json_schema(), "json_schema", json.loads(FITS)),
        ("text_format", FLAT, "json_schema", json.loads(FITS)),
        ("text", FLAT, "json_schema", json.loads(FITS)),
        ("text", {"type": "json_object"}, "json_object", json.loads(FITS)),
        ("text", {"type": "text"}, "text", None),
        ("text_format", {"type": "text"}, "text", None),
    ],
)
def test_responses_take_every_form_of_a_format(how: str, wanted: Any, kind: str, parsed: Any) -> None:
    with simulating() as simulated:
        simulated.script(Reply.text(FITS))
        answer = penstock.responses(input="Where?", **asked_by(how, wanted), **RESPONSES.arguments(simulated))
        sent = simulated.last.json["text"]
    assert answer.output_parsed == parsed
    assert answer.output_text == FITS
    assert sent["format"]["type"] == kind
    assert sent.get("verbosity") == ("low" if how == "text" else None)


def test_responses_are_mended_too() -> None:
    with simulating() as simulated:
        simulated.script(Reply.text(MISFITS), Reply.text(FITS))
        answer = asyncio.run(
            penstock.aresponses(
                input="Where?",
                text_format=Weather,
                max_repairs=1,
                **RESPONSES.arguments(simulated),
            )
        )
        turns = simulated.last.json["input"]
    assert answer.output_parsed == Weather(city="Paris", degrees=21)
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert "'degrees' is missing" in turns[2]["content"]
    assert answer._hidden_params["repairs"] == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "in_progress", "output": []},
        {"status": "queued", "output": []},
        {"status": "failed", "output": [], "error": {"code": "server_error", "message": "no"}},
        {"output": [{"type": "function_call", "id": "f", "call_id": "c", "name": "n", "arguments": "{}"}]},
        {"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]},
        {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []},
    ],
    ids=["under way", "waiting", "failed", "calls a tool", "refuses", "held back"],
)
def test_responses_that_are_no_answer_are_not_judged(answer: dict[str, Any]) -> None:
    from penstock.client.answer_forms import RESPONSES_FORM
    from penstock.client.result_objects import ResponsesResponse

    assert list(RESPONSES_FORM.texts(ResponsesResponse({"status": "completed", **answer}))) == []


def test_only_the_final_message_of_a_response_is_judged() -> None:
    from penstock.client.answer_forms import RESPONSES_FORM
    from penstock.client.result_objects import ResponsesResponse

    def message(text: str, **more: Any) -> dict[str, Any]:
        return {"type": "message", "content": [{"type": "output_text", "text": text}], **more}

    search = {"type": "web_search_call", "id": "w", "status": "completed"}
    output = [message("Let me see.", phase="commentary"), search, message(FITS, phase="final_answer")]
    found = RESPONSES_FORM.texts(ResponsesResponse({"status": "completed", "output": output}))
    assert [text for text, _ in found] == [FITS]


def test_a_text_that_is_no_object_is_refused_beside_a_format() -> None:
    wrong: Any = "low"
    with pytest.raises(penstock.BadRequestError, match="expected an object, got str at text"):
        penstock.responses("openai/gpt-4o", "Where?", text=wrong, text_format=Weather, mock_response=FITS)


def test_a_client_parses_as_the_openai_package_does() -> None:
    say = [{"role": "user", "content": "Where?"}]
    with penstock.Client(environment={}) as client:
        chat = client.chat.completions.parse(
            model="openai/gpt-4o", messages=say, response_format=Weather, mock_response=FITS
        )
        answer = client.responses.parse(model="openai/gpt-4o", input="Where?", text_format=Weather, mock_response=FITS)
    assert chat.choices[0].message.parsed == answer.output_parsed == Weather(city="Paris", degrees=21)
