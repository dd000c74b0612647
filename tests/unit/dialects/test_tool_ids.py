"""Ids that are derived: the same for the same conversation, unique in it, and shared by a call and its result."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from penstock.dialects.tool_ids import call_id, response_with_tool_ids, tool_names, with_tool_ids
from penstock.types.content import Part, ServerToolCall, ServerToolResult, Text, ToolCall, ToolResult
from penstock.types.request import Message, Request
from penstock.types.response import Choice, Response


def call(name: str, given_id: str | None = None) -> ToolCall:
    return ToolCall(given_id, name, {})


def result(name: str | None, given_id: str | None = None) -> ToolResult:
    return ToolResult(given_id, (Text("done"),), name)


def conversation(*turns: tuple[Part, ...]) -> Request:
    return Request(dialect="gemini", model="m", messages=tuple(Message("user", turn) for turn in turns))


def ids(request: Request) -> list[str | None]:
    return [part.call_id for message in request.messages for part in message.parts if hasattr(part, "call_id")]


def test_calls_are_numbered_and_results_find_them_by_name() -> None:
    request = conversation((call("time"), call("weather")), (result("weather"), result("time")))
    assert ids(with_tool_ids(request)) == ["call_1", "call_2", "call_2", "call_1"]


def test_parallel_calls_of_one_name_are_matched_in_order() -> None:
    request = conversation((call("time"), call("time")), (result("time"), result("time")))
    assert ids(with_tool_ids(request)) == ["call_1", "call_2", "call_1", "call_2"]


def test_a_later_turn_does_not_answer_an_answered_call() -> None:
    request = conversation((call("time"),), (result("time"),), (call("time"),), (result("time"),))
    assert ids(with_tool_ids(request)) == ["call_1", "call_1", "call_2", "call_2"]


def test_a_longer_conversation_keeps_the_ids_of_its_beginning() -> None:
    turns: list[tuple[Part, ...]] = [(call("a"), call("b")), (result("a"), result("b"))]
    longer = [*turns, (call("c"),), (result("c"),)]
    assert ids(with_tool_ids(conversation(*longer)))[:4] == ids(with_tool_ids(conversation(*turns)))


def test_a_given_id_stays_and_is_never_given_twice() -> None:
    request = conversation((call("time", "call_1"), call("time")), (result("time", "call_1"), result("time")))
    assert ids(with_tool_ids(request)) == ["call_1", "call_2", "call_1", "call_2"]


def test_a_result_without_an_id_takes_that_of_its_call() -> None:
    assert ids(with_tool_ids(conversation((call("time", "x"),), (result("time"),)))) == ["x", "x"]


def test_a_result_lends_its_id_to_a_call_without_one() -> None:
    request = conversation((call("time"), call("date")), (result("date", "made-up"), result("time")))
    assert ids(with_tool_ids(request)) == ["call_1", "made-up", "made-up", "call_1"]


def test_a_result_without_a_name_answers_the_first_open_call() -> None:
    assert ids(with_tool_ids(conversation((call("time"),), (result(None),)))) == ["call_1", "call_1"]


def test_a_result_without_a_call_gets_an_id_of_its_own() -> None:
    assert ids(with_tool_ids(conversation((call("time"),), (result("date"),)))) == ["call_1", "call_2"]


def test_tools_of_the_provider_are_matched_among_themselves() -> None:
    parts: tuple[Part, ...] = (
        ServerToolCall(None, "code_execution"),
        call("code_execution"),
        ServerToolResult(None, "code_execution"),
        result("code_execution"),
    )
    assert ids(with_tool_ids(conversation(parts))) == ["srvtool_1", "call_1", "srvtool_1", "call_1"]


def test_nothing_to_do_is_the_same_object() -> None:
    request = conversation((call("time", "x"),), (Text("hello"),))
    response = Response(dialect="gemini", choices=(Choice((call("time", "x"),)),))
    assert with_tool_ids(request) is request
    assert response_with_tool_ids(response) is response


def test_a_response_derives_its_ids_from_its_own() -> None:
    parts: tuple[Part, ...] = (Text("see"), call("time"), ServerToolCall(None, "maps"), ServerToolResult(None, "maps"))
    response = Response(dialect="gemini", id="ab-C_1", choices=(Choice(parts), Choice(parts, index=1)))
    first, second = response_with_tool_ids(response).choices
    assert [getattr(part, "call_id", None) for part in first.parts] == [
        None,
        "call_abC1_1",
        "call_abC1_2",
        "call_abC1_2",
    ]
    assert second.parts[1].call_id == call_id("ab-C_1", 1, 1) == "call_abC1_1_1"  # type: ignore[union-attr]  # calls, or the test fails
    assert response_with_tool_ids(replace(response, id=None), "seed").choices[0].parts[1] == call("time", "call_seed_1")


@given(st.text() | st.none(), st.integers(0, 999), st.integers(0, 99))
def test_an_id_is_one_that_every_provider_takes(seed: str | None, index: int, choice: int) -> None:
    found = call_id(seed, index, choice)
    assert len(found) <= 40
    assert found.isascii()
    assert found.replace("_", "").isalnum()


parts_without_order = st.lists(
    st.one_of(
        st.builds(call, st.sampled_from("ab"), st.sampled_from([None, "call_1", "x"])),
        st.builds(result, st.sampled_from(["a", "b", None]), st.sampled_from([None, "call_1", "x", "y"])),
        st.just(Text("between")),
    ),
    max_size=8,
)


@given(parts_without_order)
def test_every_call_and_result_has_an_id_and_given_ids_stay(parts: list[Part]) -> None:
    found = with_tool_ids(conversation(tuple(parts))).messages[0].parts
    assert len(found) == len(parts)
    for before, after in zip(parts, found, strict=True):
        if isinstance(before, ToolCall | ToolResult):
            assert isinstance(after, ToolCall | ToolResult)
            assert after.call_id
            assert after == (before if before.call_id is not None else replace(before, call_id=after.call_id))
    assert with_tool_ids(conversation(found)) == conversation(found)


def test_names_by_id() -> None:
    request = conversation((call("time", "1"), call("date")), (result("time", "1"),))
    assert tool_names(request.messages) == {"1": "time"}
