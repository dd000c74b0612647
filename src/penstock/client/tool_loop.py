"""The tool loop: ask, run the functions that the model calls, tell it what they gave, until it answers.

    def weather(city: str) -> str: ...

    answer = run_tool_loop("openai/gpt-5", "Do I need an umbrella in Paris?", [weather])
    answer.choices[0].message.content     # the last answer; answer.messages is the whole conversation

Calls of one turn run side by side (threads; for `arun_tool_loop` coroutines, and plain functions in threads). A
function that raises does not end the loop: the model is told what went wrong, and may do better. What ends it: an
answer without calls, a call of a tool that is no function of ours (its caller must run it), or `max_rounds`.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from msgspec import Struct

from penstock.calls.arguments import messages_of, plain
from penstock.calls.engine import Engine
from penstock.calls.failures import raising
from penstock.calls.functions import Function, function_of
from penstock.client import chat
from penstock.client.api import default_engine
from penstock.client.callbacks import wait_for
from penstock.client.objects import ModelResponse, ToolCall
from penstock.dialects import wire
from penstock.providers.cost import Cost
from penstock.types.errors import MalformedError

_MOST_THREADS = 16

Approve = Callable[[ToolCall], Any]


class ToolLoopResponse(ModelResponse):
    """The last answer of a tool loop. `messages` is the whole conversation, ready to go on with; `rounds` are the
    answers of all rounds in order; `_hidden_params["response_cost"]` is what they cost together (None: unknown).
    """

    messages: list[Any]
    rounds: list[ModelResponse]


class Requested(Struct):
    """One call that the model asked for: the function, or why there is none to run."""

    call: ToolCall
    function: Function | None
    arguments: dict[str, Any]
    problem: str | None = None


def run_tool_loop(
    model: str,
    messages: str | Sequence[Any],
    tools: Sequence[Any],
    *,
    max_rounds: int = 10,
    approve: Approve | None = None,
    client: Any = None,
    **arguments: Any,
) -> ToolLoopResponse:
    """Call a model and run the Python functions that it asks for, until it answers.

    model, messages    as for `completion`; a string is the user's message
    tools              Python functions (plain or async); tools in OpenAI's shape may stand beside them
    max_rounds         how often the model is asked at most. Calls that it makes in the last round are not run: the
                       answer then has `finish_reason` "tool_calls"
    approve            asked before each call (it gets the ToolCall): True runs it; False, or a text that says why not,
                       tells the model instead
    client             a `Client` to call with
    **arguments        as for `completion`, but `stream`

    Raises what `completion` raises; what functions raise goes to the model.
    """
    with raising("", model):
        loop = _Loop(client, model, messages, tools, max_rounds, arguments)
    steps = loop.steps()
    work = next(steps)
    try:
        while True:
            if isinstance(work, dict):
                work = steps.send(chat.completion(loop.engine, **work))
            else:
                work = steps.send(_run_all(work, approve))
    except StopIteration as done:
        return _answer(done.value)


async def arun_tool_loop(
    model: str,
    messages: str | Sequence[Any],
    tools: Sequence[Any],
    *,
    max_rounds: int = 10,
    approve: Approve | None = None,
    client: Any = None,
    **arguments: Any,
) -> ToolLoopResponse:
    """`run_tool_loop` from a coroutine; `approve` may be a coroutine function, `client` is an `AsyncClient`."""
    with raising("", model):
        loop = _Loop(client, model, messages, tools, max_rounds, arguments)
    steps = loop.steps()
    work = next(steps)
    try:
        while True:
            if isinstance(work, dict):
                work = steps.send(await chat.acompletion(loop.engine, **work))
            else:
                work = steps.send(await _arun_all(work, approve))
    except StopIteration as done:
        return _answer(done.value)


def _answer(value: Any) -> ToolLoopResponse:
    assert isinstance(value, ToolLoopResponse), "the steps end with the answer"
    return value


class _Loop:
    """The pure half: what to ask and what to run, round by round."""

    def __init__(
        self,
        client: Any,
        model: str,
        messages: str | Sequence[Any],
        tools: Sequence[Any],
        max_rounds: int,
        arguments: dict[str, Any],
    ) -> None:
        if arguments.get("stream"):
            raise MalformedError("a tool loop gives its last answer whole: leave `stream` out", "stream")
        if max_rounds < 1:
            raise MalformedError(f"expected at least 1, got {max_rounds}", "max_rounds")
        given = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        self.engine: Engine = default_engine() if client is None else client.engine
        self.messages = messages_of(given)
        self.functions: dict[str, Function] = {}
        self.arguments = {**arguments, "model": model, "tools": [self._tool(tool) for tool in tools]}
        self.max_rounds = max_rounds
        self.rounds: list[ModelResponse] = []

    def _tool(self, tool: Any) -> Any:
        if not callable(tool) or isinstance(tool, type | dict):
            return plain(tool)
        function = function_of(tool)
        if function.name in self.functions:
            raise MalformedError(f"two functions are called {function.name!r}", "tools")
        self.functions[function.name] = function
        return function.tool

    def steps(self) -> Generator[dict[str, Any] | list[Requested], Any, ToolLoopResponse]:
        """Yields the arguments of a call to be answered, or calls to be run; ends with the answer."""
        while True:
            answer = yield {**self.arguments, "messages": list(self.messages)}
            self.rounds.append(answer)
            message = answer.choices[0].message if answer.get("choices") else None
            if message is not None:
                self.messages.append(message)
            calls = (message.get("tool_calls") if message is not None else None) or []
            if not calls or len(self.rounds) >= self.max_rounds or not all(map(self._is_ours, calls)):
                return self._finished(answer)
            contents = yield [self._requested(call) for call in calls]
            for call, content in zip(calls, contents, strict=True):
                self.messages.append({"role": "tool", "tool_call_id": call.get("id"), "content": content})
            if self.arguments.get("tool_choice") not in (None, "auto", "none"):
                self.arguments["tool_choice"] = "auto"  # a forced call would be forced for ever

    def _is_ours(self, call: ToolCall) -> bool:
        """Whether we are to answer this call: it is of one of our functions, or of a tool that nobody has."""
        name = (call.get("function") or {}).get("name")
        others = {tool.get("function", {}).get("name") for tool in self.arguments["tools"] if isinstance(tool, dict)}
        return call.get("custom") is None and (name in self.functions or name not in others)

    def _requested(self, call: ToolCall) -> Requested:
        named = call.get("function") or {}
        function = self.functions.get(named.get("name", ""))
        if function is None:
            known = ", ".join(self.functions) or "none"
            return Requested(call, None, {}, f"there is no tool {named.get('name')!r}; there are: {known}")
        try:
            text = named.get("arguments") or "{}"
            given = function.arguments(wire.decode(text) if isinstance(text, str) else text)
        except ValueError as error:
            return Requested(call, function, {}, str(error))
        return Requested(call, function, given)

    def _finished(self, answer: ModelResponse) -> ToolLoopResponse:
        whole = ToolLoopResponse(answer)
        vars(whole).update(vars(answer))
        bills = [each._hidden_params.get("cost") for each in self.rounds]
        known = [bill for bill in bills if isinstance(bill, Cost)]
        total = sum(known[1:], known[0]) if known and len(known) == len(bills) else None
        hidden = {"cost": total, "response_cost": None if total is None else total.usd, "rounds": len(self.rounds)}
        vars(whole)["_hidden_params"] = {**answer._hidden_params, **hidden}
        vars(whole)["messages"], vars(whole)["rounds"] = self.messages, self.rounds
        return whole


# -- running ----------------------------------------------------------------------------------------------------------


def told(value: Any) -> str:
    """What a function returned, as the text that the model reads."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(plain(value), enc_hook=_encodable).decode()


def _encodable(value: Any) -> Any:
    """What JSON does not know: an object that can dump itself, or the object's own text."""
    dumped = plain(value)
    return str(value) if dumped is value else dumped


def failed(error: BaseException) -> str:
    """What the model is told of a function that raised."""
    return f"Error: {type(error).__name__}: {error}"


def refused(verdict: Any) -> str | None:
    """What the model is told where the call was not approved; None: it was."""
    if verdict is True:
        return None
    return f"Error: not allowed: {verdict}" if isinstance(verdict, str) and verdict else "Error: not allowed"


def _run_all(calls: list[Requested], approve: Approve | None) -> list[str]:
    verdicts = [True if approve is None or each.problem else approve(each.call) for each in calls]
    jobs = [(each, refused(verdict)) for each, verdict in zip(calls, verdicts, strict=True)]
    if len(jobs) == 1:
        return [_run(*jobs[0])]
    with ThreadPoolExecutor(min(len(jobs), _MOST_THREADS), thread_name_prefix="penstock-tool") as pool:
        contexts = [contextvars.copy_context() for _ in jobs]
        return list(pool.map(lambda context, job: context.run(_run, *job), contexts, jobs))


def _run(requested: Requested, refusal: str | None) -> str:
    if requested.problem is not None or refusal is not None or requested.function is None:
        return refusal or f"Error: {requested.problem}"
    try:
        value = requested.function.run(**requested.arguments)
        return told(wait_for(value) if inspect.iscoroutine(value) else value)
    except Exception as error:
        return failed(error)


async def _arun_all(calls: list[Requested], approve: Approve | None) -> list[str]:
    refusals: list[str | None] = []
    for each in calls:
        verdict = True if approve is None or each.problem else approve(each.call)
        refusals.append(refused(await verdict if inspect.isawaitable(verdict) else verdict))
    running: list[Awaitable[str]] = [_arun(each, refusal) for each, refusal in zip(calls, refusals, strict=True)]
    return list(await asyncio.gather(*running))


async def _arun(requested: Requested, refusal: str | None) -> str:
    if requested.problem is not None or refusal is not None or requested.function is None:
        return refusal or f"Error: {requested.problem}"
    function = requested.function.run
    try:
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
            return told(await function(**requested.arguments))
        value = await asyncio.to_thread(function, **requested.arguments)
        return told(await value if inspect.isawaitable(value) else value)
    except Exception as error:
        return failed(error)
