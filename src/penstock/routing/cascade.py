"""Cascade: the cheap model first; its answer is taken if it passes the checks, else a stronger model is asked.

    routing:
      cascades:
        smart:
          groups: [cheap, middle, strong]           # in order; the last one's answer is taken as it is
          checks: [complete, refusal, schema, tools]    # the default
          agreement: 0.8                            # ask each but the last twice; the two must be that alike
          hook: http://127.0.0.1:9000/judge         # yours: it has the last word on what passed the others

Most of what a router could save cannot be seen in the prompt: it has to be won after the answer, by checking it. The
checks are those that a program can decide without a model. `next_step` is a pure function of what has been answered so
far; who drives it asks, calls the hook, and gives the accepted answer to the client.

A hook is an address and not a function: it is called while thousands of other calls are under way, so it must not run
in their process. It gets a POST of `{"request": ..., "response": ...}` in OpenAI's shape and answers `{"accept": true}`
or `{"accept": false, "why": "..."}`. One that fails, or takes longer than `hook_timeout`, has not accepted.

An answer can only be checked when it is whole, so a stream is not cascaded: it goes to the last group, or with
`streams: first` to the first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from penstock.routing.patterns import MalformedPattern, Pattern
from penstock.types.content import Refusal, Text, ToolCall
from penstock.types.json_schema import errors_in
from penstock.types.request import Request
from penstock.types.response import Choice, Response


class MalformedCascade(ValueError):
    """A cascade cannot be read. The message begins with where it is, and says what would do."""


class Cascade(Struct, frozen=True, kw_only=True):
    """One cascade.

    groups        model groups, the cheapest first: at least two
    checks        names of CHECKS that an answer must pass
    agreement     how alike two answers of one group must be (0 to 1); None: it is asked once
    hook          address that has the last word; None: there is none
    hook_timeout  seconds that it may take
    streams       where streams go
    """

    name: str
    groups: tuple[str, ...]
    checks: tuple[str, ...] = ("complete", "refusal", "schema", "tools")
    agreement: float | None = None
    hook: str | None = None
    hook_timeout: float = 2.0
    streams: Literal["first", "last"] = "last"

    @property
    def group_of_streams(self) -> str:
        """The group that streams go to."""
        return self.groups[0 if self.streams == "first" else -1]


class Answer(Struct, frozen=True):
    """What asking a group came to. `response` is None where all attempts failed; `accepted` what the hook said of it,
    and `why`; None: it was not asked.
    """

    group: str
    response: Response | None
    accepted: bool | None = None
    why: str = ""


class Ask(Struct, frozen=True):
    """Ask this group."""

    group: str


class Judge(Struct, frozen=True):
    """Ask the hook about the answer of this index; put what it says into that answer, and come again."""

    index: int


class Accept(Struct, frozen=True):
    """Give this answer to the client. `why` tells what was decided on the way, one line for each answer."""

    index: int
    why: tuple[str, ...]


class GiveUp(Struct, frozen=True):
    """Nobody answered: the last error is the one to show."""

    why: tuple[str, ...]


Next: TypeAlias = Ask | Judge | Accept | GiveUp


def next_step(cascade: Cascade, request: Request, answers: Sequence[Answer]) -> Next:
    """What to do after these answers (none yet: the first question). What is accepted is the last of them, but where
    the last group failed: then it is the last that there was.
    """
    why: list[str] = []
    index = 0
    for group in cascade.groups[:-1]:
        samples = 1 if cascade.agreement is None else 2
        stage = answers[index : index + samples]
        if not stage:
            return Ask(group)
        wrong = next((bad for answer in stage if (bad := _wrong(cascade, request, answer)) is not None), None)
        if wrong is None and len(stage) < samples:
            return Ask(group)
        if wrong is None and cascade.agreement is not None:
            wrong = _disagreement(cascade.agreement, *stage)
        last = index + len(stage) - 1
        if wrong is None and cascade.hook is not None:
            verdict = answers[last]
            if verdict.accepted is None:
                return Judge(last)
            wrong = None if verdict.accepted else f"the hook refused it{f': {verdict.why}' if verdict.why else ''}"
        if wrong is None:
            return Accept(last, (*why, f"{group}: accepted"))
        why.append(f"{group}: {wrong}")
        index += len(stage)
    return _last(cascade, answers, index, why)


def _last(cascade: Cascade, answers: Sequence[Answer], index: int, why: list[str]) -> Next:
    """The strongest is asked once and taken as it is. Where it fails, the last answer that there was is better than
    none.
    """
    group = cascade.groups[-1]
    if len(answers) <= index:
        return Ask(group)
    if answers[index].response is not None:
        return Accept(index, (*why, f"{group}: taken as it is"))
    why.append(f"{group}: it failed")
    before = [place for place, answer in enumerate(answers[:index]) if answer.response is not None]
    return (
        Accept(before[-1], (*why, f"{answers[before[-1]].group}: better than none")) if before else GiveUp(tuple(why))
    )


def _wrong(cascade: Cascade, request: Request, answer: Answer) -> str | None:
    if answer.response is None:
        return "it failed"
    return failing(request, answer.response, cascade.checks)


# -- the checks -------------------------------------------------------------------------------------------------------


def failing(request: Request, response: Response, checks: Sequence[str]) -> str | None:
    """Why an answer does not pass; None: it does."""
    if not response.choices:
        return "it is empty"
    for choice in response.choices:
        for name in checks:
            wrong = CHECKS[name](request, choice)
            if wrong is not None:
                return wrong
    return None


_CUT = {
    "length": "it was cut at the token limit",
    "content_filter": "the provider withheld it",
    "error": "the provider failed midway",
    "pause": "it is not finished",
}


def _complete(request: Request, choice: Choice) -> str | None:
    """Not cut, and not empty."""
    if choice.stop_reason in _CUT:
        return _CUT[choice.stop_reason]
    if any(isinstance(part, ToolCall) for part in choice.parts) or _text(choice).strip():
        return None
    return None if any(isinstance(part, Refusal) for part in choice.parts) else "it is empty"


def _refusal(request: Request, choice: Choice) -> str | None:
    """No refusal: by its stop reason, by a part of that kind, or by how it begins."""
    if choice.stop_reason == "refusal" or any(isinstance(part, Refusal) for part in choice.parts):
        return "the model refused"
    if any(isinstance(part, ToolCall) for part in choice.parts):
        return None
    text = re.sub(r"\s+", " ", _text(choice)[:_BEGINNING].strip().lower()).replace("\u2019", "'")
    return "it begins like a refusal" if text.startswith(_REFUSALS) else None


_BEGINNING = 200
_SORRY = (
    *("i'm sorry, but i can", "i am sorry, but i can", "i'm sorry, i can", "sorry, but i can", "sorry, i can't"),
    *(
        "i can't help with",
        "i cannot help with",
        "i can't assist",
        "i cannot assist",
        "i'm unable to",
        "i am unable to",
    ),
    *("i'm not able to", "i am not able to", "i can't provide", "i cannot provide", "as an ai language model, i can"),
    *("es tut mir leid, aber ich kann", "tut mir leid, aber", "ich kann dir dabei nicht", "ich kann ihnen dabei nicht"),
    *(
        "je suis désolé, mais je ne peux",
        "désolé, mais je ne peux",
        "je ne peux pas vous aider",
        "je ne peux pas t'aider",
    ),
    *("lo siento, pero no puedo", "no puedo ayudarte con", "no puedo ayudar con"),
    *("mi dispiace, ma non posso", "non posso aiutarti"),
    *("desculpe, mas não posso", "sinto muito, mas não posso", "não posso ajudar"),
    *("het spijt me, maar ik kan", "ik kan je daar niet", "przykro mi, ale nie mogę", "przepraszam, ale nie mogę"),
    *("jag är ledsen, men jag kan", "üzgünüm, ancak", "üzgünüm, ama", "извините, но я не могу", "я не могу помочь"),
    *(
        "申し訳ありませんが",
        "申し訳ございませんが",
        "抱歉",
        "对不起",
        "很抱歉",
        "죄송하지만",
    ),
    *("آسف", "عذرا"),
)
_REFUSALS = tuple(dict.fromkeys(_SORRY))
"""How answers begin that are none. A short list, for refusals that are not marked as such."""


def _schema(request: Request, choice: Choice) -> str | None:
    """JSON where JSON was asked for, and by its schema."""
    wanted = request.response_format
    if wanted is None or wanted.kind == "text" or any(isinstance(part, ToolCall) for part in choice.parts):
        return None
    try:
        value = msgspec.json.decode(_text(choice))
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return "it is not JSON"
    if wanted.schema is None:
        return None if isinstance(value, dict) or wanted.kind == "json_schema" else "it is no JSON object"
    errors = errors_in(value, _searchable(wanted.schema))
    return f"it does not fit the schema: {errors[0]}" if errors else None


def _tools(request: Request, choice: Choice) -> str | None:
    """Calls of tools that there are, with arguments that fit."""
    known = {tool.name: tool for tool in request.tools or () if tool.kind == "function"}
    for call in (part for part in choice.parts if isinstance(part, ToolCall) and not part.custom):
        tool = known.get(call.name)
        if tool is None:
            return f"it calls a tool that there is not: {call.name[:60]!r}"
        try:
            arguments = (
                msgspec.json.decode(call.arguments or "{}") if isinstance(call.arguments, str) else call.arguments
            )
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return f"the arguments of {call.name[:60]!r} are not JSON"
        errors = errors_in(arguments, _searchable(tool.parameters)) if tool.parameters else []
        if errors:
            return f"the arguments of {call.name[:60]!r} do not fit: {errors[0]}"
    return None


def _searchable(schema: Any, depth: int = 100) -> Any:
    """The schema without patterns that take long to search: it is the client's, and the time is everybody's."""
    if isinstance(schema, list) and depth:
        return [_searchable(each, depth - 1) for each in schema]
    if not isinstance(schema, Mapping) or not depth:
        return schema
    return {
        name: _searchable(value, depth - 1)
        for name, value in schema.items()
        if name != "patternProperties" and (name != "pattern" or not isinstance(value, str) or _is_harmless(value))
    }


def _is_harmless(pattern: str) -> bool:
    """Whether `re` cannot go back far in it: it repeats at most once."""
    try:
        Pattern(pattern.removesuffix("$"))
    except MalformedPattern:
        return False
    return len(re.findall(r"(?<!\\)[*+}]", pattern)) <= 1


CHECKS: dict[str, Callable[[Request, Choice], str | None]] = {
    "complete": _complete,
    "refusal": _refusal,
    "schema": _schema,
    "tools": _tools,
}
"""The checks by name: (request, choice) -> why it does not pass."""


# -- agreement --------------------------------------------------------------------------------------------------------


def _disagreement(least: float, one: Answer, other: Answer) -> str | None:
    assert one.response is not None and other.response is not None, "answers that failed are not compared"
    found = alike(one.response, other.response)
    return None if found >= least else f"its two answers are alike by {found:.2f} only"


def alike(one: Response, other: Response) -> float:
    """How alike two answers are, from 0 to 1. Calls of tools and JSON must be equal; of other texts, numbers must be,
    and the share of words that they have in common counts.
    """
    if not one.choices or not other.choices:
        return 0.0
    left, right = one.choices[0], other.choices[0]
    if _calls(left) != _calls(right):
        return 0.0
    first, second = _text(left), _text(right)
    values = _value(first), _value(second)
    if values[0] is not _NONE and values[1] is not _NONE:
        return 1.0 if values[0] == values[1] else 0.0
    if sorted(set(_NUMBER.findall(first))) != sorted(set(_NUMBER.findall(second))):
        return 0.0
    words = [Counter(_WORD.findall(text.lower())) for text in (first, second)]
    union = (words[0] | words[1]).total()
    return (words[0] & words[1]).total() / union if union else 1.0


_NONE = object()
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"\w+")


def _value(text: str) -> Any:
    """The object or list that the text is; not a mere word or number."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return _NONE
    return value if isinstance(value, dict | list) else _NONE


def _calls(choice: Choice) -> list[tuple[str, Any]]:
    found = []
    for part in choice.parts:
        if isinstance(part, ToolCall):
            arguments = part.arguments
            value = _value(arguments) if isinstance(arguments, str) else arguments
            found.append((part.name, arguments if value is _NONE else value))
    return found


def _text(choice: Choice) -> str:
    return "".join(part.text for part in choice.parts if isinstance(part, Text))


# -- reading ----------------------------------------------------------------------------------------------------------


def cascades_of(entries: Any, where: str = "routing.cascades") -> dict[str, Cascade]:
    """The cascades, by the name that callers use. Raises MalformedCascade."""
    if not isinstance(entries, Mapping):
        raise MalformedCascade(f"{where} must be a mapping of names to cascades")
    return {name: _cascade(name, entry, f"{where}.{name}") for name, entry in entries.items()}


def _cascade(name: str, entry: Any, place: str) -> Cascade:
    if not isinstance(entry, Mapping):
        raise MalformedCascade(f"{place} must be a cascade: {{groups: [cheap, strong]}}")
    words = [field for field in Cascade.__struct_fields__ if field != "name"]
    for word in entry:
        if word not in words:
            near = get_close_matches(str(word), words, n=1)
            raise MalformedCascade(
                f"{place} has no {word!r}; {f'did you mean {near[0]!r}?' if near else ', '.join(words)}"
            )
    groups = _names(entry.get("groups"), f"{place}.groups")
    if len(groups) < 2 or len(set(groups)) < len(groups):
        raise MalformedCascade(f"{place}.groups must be two different groups or more, the cheapest first")
    checks = _names(entry.get("checks", Cascade(name="", groups=()).checks), f"{place}.checks")
    for check in checks:
        if check not in CHECKS:
            raise MalformedCascade(f"{place}.checks: {check!r} is none of: {', '.join(CHECKS)}")
    agreement, hook, streams = entry.get("agreement"), entry.get("hook"), entry.get("streams", "last")
    if agreement is not None and not (_is_number(agreement) and 0 < agreement <= 1):
        raise MalformedCascade(f"{place}.agreement must be a number from 0 to 1")
    if hook is not None and not (isinstance(hook, str) and hook.startswith(("http://", "https://"))):
        raise MalformedCascade(f"{place}.hook must be an http(s) address")
    timeout = entry.get("hook_timeout", 2.0)
    if not (_is_number(timeout) and 0 < timeout <= 60):
        raise MalformedCascade(f"{place}.hook_timeout must be seconds, at most 60")
    if streams not in ("first", "last"):
        raise MalformedCascade(f"{place}.streams must be first or last")
    return Cascade(
        name=name,
        groups=groups,
        checks=checks,
        agreement=agreement,
        hook=hook,
        hook_timeout=float(timeout),
        streams="first" if streams == "first" else "last",
    )


def _names(value: Any, place: str) -> tuple[str, ...]:
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        raise MalformedCascade(f"{place} must be a list of names")
    if not all(isinstance(each, str) and each for each in value):
        raise MalformedCascade(f"{place} must be a list of names")
    return tuple(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
