"""Rules: each word, how they combine, what is wrong with them, and why one hit."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from penstock.routing.cascade import MalformedCascade
from penstock.routing.deployment import Deployment
from penstock.routing.groups import Groups
from penstock.routing.language import LANGUAGES
from penstock.routing.rules import CONDITIONS, Decision, MalformedRule, rule_sets
from penstock.routing.task import Task
from penstock.routing.tasks import NO_TASKS, tasks_of
from penstock.types.content import Media, Text, Url
from penstock.types.request import Message, Reasoning, Request, ResponseFormat, Tool

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()  # a Monday


def task(text: str = "Hello", *, parts: tuple[Any, ...] = (), **fields: Any) -> Task:
    own = {name: fields.pop(name) for name in ("tags", "key", "tokens") if name in fields}
    messages = (Message("user", (Text(text), *parts)),)
    return Task(Request(dialect="openai_chat", model="auto", messages=messages, **fields), **own)


def decide(when: dict[str, Any], asked: Task, now: float = NOON) -> Decision:
    rules = [{"model": "auto", "name": "it", "when": when, "to": "yes"}, {"model": "auto", "to": "no"}]
    return rule_sets(rules)["auto"].decide(asked, now)


_IMAGE = Media("image", Url("https://a.example/x.png"))


@pytest.mark.parametrize(
    ("when", "asked", "hits"),
    [
        ({"characters": {"over": 4}}, task("Hello"), True),
        ({"characters": {"over": 5}}, task("Hello"), False),
        ({"characters": {"under": 6, "over": 4}}, task("Hello"), True),
        ({"tokens": {"over": 1000}}, task(tokens=1001), True),
        ({"tokens": {"under": 1000}}, task(tokens=1000), False),
        ({"messages": {"under": 2}}, task(), True),
        ({"max_tokens": {"over": 100}}, task(max_tokens=200), True),
        ({"images": True}, task(parts=(_IMAGE,)), True),
        ({"images": False}, task(parts=(_IMAGE,)), False),
        ({"images": {"over": 1}}, task(parts=(_IMAGE,)), False),
        ({"audio": False, "video": False, "files": False}, task(), True),
        ({"code": True}, task("```\nx\n```"), True),
        ({"code": True}, task("x"), False),
        ({"schema": True}, task(response_format=ResponseFormat("json_schema", {})), True),
        ({"json": True}, task(response_format=ResponseFormat("json_object")), True),
        ({"reasoning": True}, task(reasoning=Reasoning(effort="high")), True),
        ({"stream": True}, task(stream=True), True),
        ({"language": "de"}, task("Was ist das und wie geht es dir?"), True),
        ({"language": ["fr", "es"]}, task("Was ist das und wie geht es dir?"), False),
        ({"tools": True}, task(tools=(Tool("search"),)), True),
        ({"tools": False}, task(tools=(Tool("search"),)), False),
        ({"tools": {"over": 1}}, task(tools=(Tool("search"),)), False),
        ({"tools": ["web_*", "sea*"]}, task(tools=(Tool("search"),)), True),
        ({"tools": "sear"}, task(tools=(Tool("search"),)), False),
        ({"tags": ["eu"]}, task(tags=("us", "eu")), True),
        ({"key": "team-a-*"}, task(key="team-a-7"), True),
        ({"key": "team-a-*"}, task(key="team-b-7"), False),
        ({"keywords": ["summarize", "sum up"]}, task("Please SUM  UP this"), True),
        ({"keywords": "sum"}, task("summary"), False),
        ({"keywords": "要約"}, task("この文を要約して"), True),
        ({"keywords": "c++"}, task("in C++, please"), True),
        ({"pattern": r"\bticket-\d{3,}\b"}, task("see TICKET-1234"), True),
        ({"pattern": ["a{9}", "b+c"]}, task("xbbc"), True),
        ({"system_keywords": "lawyer"}, task(system=(Text("You are a lawyer."),)), True),
        ({"system_pattern": r"^you are"}, task(system=(Text("You are a lawyer."),)), True),
        ({"not": {"code": True}}, task("x"), True),
        ({"not": {"code": False, "stream": True}}, task("x"), True),
        ({"any": [{"code": True}, {"characters": {"under": 9}}]}, task("x"), True),
        ({"any": [{"code": True}, {"characters": {"over": 9}}]}, task("x"), False),
        ({"all": [{"code": False}, {"any": [{"stream": True}, {"tools": False}]}]}, task("x"), True),
        ({"code": False, "stream": True}, task("x"), False),
    ],
)
def test_words(when: dict[str, Any], asked: Task, hits: bool) -> None:
    assert (decide(when, asked).group == "yes") is hits


def at(day: int, clock: str) -> float:
    """A moment of that week in UTC: 23 is Monday."""
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("when", "moment", "hits"),
    [
        ({"hours": "08:00-18:00"}, at(23, "08:00"), True),
        ({"hours": "08:00-18:00"}, at(23, "18:00"), False),
        ({"hours": "08:00-18:00", "utc_offset": "+02:00"}, at(23, "06:30"), True),
        ({"hours": "08:00-18:00", "utc_offset": "-05:30"}, at(23, "13:29"), False),
        ({"hours": "22:00-06:00"}, at(23, "23:00"), True),
        ({"hours": "22:00-06:00"}, at(23, "05:59"), True),
        ({"hours": "22:00-06:00"}, at(23, "06:00"), False),
        ({"hours": "22:00-06:00", "days": "mon-fri"}, at(23, "05:00"), False),
        ({"hours": "22:00-06:00", "days": "mon-fri"}, at(28, "05:00"), True),
        ({"days": ["sat", "sun"]}, at(28, "12:00"), True),
        ({"days": "sat,sun"}, at(23, "12:00"), False),
        ({"days": "fri-mon"}, at(23, "12:00"), True),
        ({"days": "fri-mon"}, at(25, "12:00"), False),
        ({"days": "mon", "utc_offset": "+14:00"}, at(22, "11:00"), True),
        ({"hours": "00:00-24:00"}, at(23, "23:59"), True),
    ],
)
def test_the_time_of_day(when: dict[str, Any], moment: float, hits: bool) -> None:
    assert (decide(when, task(), moment).group == "yes") is hits


def test_every_word_is_tested() -> None:
    tested = {word for mark in test_words.pytestmark for each in mark.args[1] for word in each[0]}
    assert tested >= set(CONDITIONS)


def test_every_word_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/routing-rules.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", page))
    assert {*CONDITIONS, "hours", "days", "utc_offset", "not", "any", "all"} <= named
    assert " ".join(sorted(LANGUAGES)) in page


def test_the_first_that_hits_decides_and_all_before_it_say_why_not() -> None:
    rules = rule_sets(
        [
            {"name": "code", "when": {"code": True}, "to": "claude"},
            {"name": "short", "when": {"characters": {"under": 100}, "tools": False}, "to": "cheap"},
            {"name": "never", "when": {"stream": True}, "to": "x"},
            {"to": "gpt"},
        ]
    )["auto"]
    decision = rules.decide(task("Hello"), NOON)
    assert (decision.group, decision.rule) == ("cheap", "short")
    assert [(step.rule, step.hit, step.why) for step in decision.steps] == [
        ("code", False, "code: it is false"),
        ("short", True, "characters: under 100, tools: false"),
    ]
    last = rules.decide(task("H" * 200), NOON)
    assert (last.group, last.rule, last.steps[-1].why) == ("gpt", "default", "nothing else fitted")
    assert rules.groups == ("claude", "cheap", "x", "gpt")


def test_one_rule_for_several_names() -> None:
    sets = rule_sets(
        [{"model": ["auto", "fast"], "when": {"code": True}, "to": "a"}, {"model": ["auto", "fast"], "to": "b"}]
    )
    assert set(sets) == {"auto", "fast"}


DEFAULT = {"model": "auto", "to": "b"}


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"to": "a"}, "must be a list"),
        (["a"], r"rules\[0\] must be a rule"),
        ([{"model": "auto"}], r"rules\[0\]\.to must name"),
        ([{"when": {"code": True}, "to": "a"}], "needs a last rule without `when`"),
        ([DEFAULT, {"when": {"code": True}, "to": "a", "name": "code"}], r"rules\[1\] \(code\) comes after 'default'"),
        ([{"wen": {}, "to": "a"}], "no 'wen': did you mean 'when'"),
        (
            [{"when": {"cod": True}, "to": "a"}, DEFAULT],
            r"rules\[0\] \(rule 1\)\.when has no 'cod': did you mean 'code'",
        ),
        ([{"when": {"code": "yes"}, "to": "a"}, DEFAULT], r"\.code must be true or false"),
        ([{"when": {"tokens": 5}, "to": "a"}, DEFAULT], r"\.tokens must be {over: number}"),
        ([{"when": {"tokens": {"over": "x"}}, "to": "a"}, DEFAULT], r"\.tokens must be"),
        ([{"when": {"tokens": {"above": 1}}, "to": "a"}, DEFAULT], r"\.tokens has no 'above'"),
        ([{"when": {"language": "german"}, "to": "a"}, DEFAULT], "'german' is none of the languages"),
        ([{"when": {"keywords": []}, "to": "a"}, DEFAULT], r"\.keywords must be a text"),
        ([{"when": {"pattern": "(a)\\1"}, "to": "a"}, DEFAULT], r"\.pattern: .*linear time"),
        ([{"when": {"not": {"x": 1}}, "to": "a"}, DEFAULT], r"\.not has no 'x'"),
        ([{"when": {"any": {"code": True}}, "to": "a"}, DEFAULT], r"\.any must be a list"),
        ([{"when": {"hours": "8-18"}, "to": "a"}, DEFAULT], r"\.hours must be like"),
        ([{"when": {"hours": "08:00-24:30"}, "to": "a"}, DEFAULT], r"\.hours must be like"),
        ([{"when": {"days": "mo-fr"}, "to": "a"}, DEFAULT], r"\.days must be like"),
        ([{"when": {"hours": "08:00-18:00", "utc_offset": "CET"}, "to": "a"}, DEFAULT], r"\.utc_offset must be like"),
        ([{"when": {"utc_offset": "+01:00"}, "to": "a"}, DEFAULT], "says nothing without"),
        ([{"when": [1], "to": "a"}, DEFAULT], "must be a mapping of conditions"),
    ],
)
def test_what_is_wrong_is_named_with_its_rule(rules: Any, words: str) -> None:
    with pytest.raises(MalformedRule, match=words):
        rule_sets(rules)


# -- with groups and cascades -----------------------------------------------------------------------------------------


GROUPS = Groups(
    [Deployment(group=name, arguments={"model": "m"}, id=name) for name in ("a", "b", "openai/*")], {"alias": "a"}
)


def test_what_rules_and_cascades_lead_to_must_exist() -> None:
    cascades = {"smart": {"groups": ["a", "openai/gpt"]}}
    found = tasks_of([{"when": {"code": True}, "to": "smart"}, {"to": "alias"}], cascades, GROUPS)
    assert found.names == ("auto", "smart")
    assert tasks_of((), {}, GROUPS) is NO_TASKS
    with pytest.raises(MalformedRule, match=r"'default' of 'auto': .*no model group 'c'"):
        tasks_of([{"to": "c"}], {}, GROUPS)
    with pytest.raises(MalformedCascade, match=r"cascades\.smart\.groups: .*'smart'"):
        tasks_of((), {"smart": {"groups": ["a", "smart"]}}, GROUPS)
