"""Questions: one answer for all who ask the same, a no that is remembered, silence that is a no."""

import asyncio

import pytest

from penstock.vault import asking
from penstock.vault.asking import QUESTIONS, Questions
from penstock.vault.rules import Rule, parse_rule
from penstock.vault.values import Refusal

RULE = parse_rule("GET https://new.example.com:443/a")
NO = Refusal("no_rule", "No rule allows it.")


def test_who_asks_the_same_waits_for_the_same_answer() -> None:
    async def run() -> None:
        told: list[Rule] = []
        questions = Questions(lambda rule, refusal: told.append(rule))
        waiting = [asyncio.ensure_future(questions.ask(RULE, NO)) for _ in range(3)]
        await asyncio.sleep(0)
        questions.answer(RULE, True)
        await asyncio.gather(*waiting)
        await questions.ask(RULE, NO)
        assert told == [RULE]

    asyncio.run(run())


def test_a_no_is_remembered_and_silence_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ASK_SECONDS", 0.01)

    async def run() -> None:
        told: list[Rule] = []
        questions = Questions(lambda rule, refusal: told.append(rule))
        for _ in range(2):
            with pytest.raises(Refusal) as refused:
                await questions.ask(RULE, NO)
            assert refused.value is NO
        questions.answer(RULE, True)  # too late
        with pytest.raises(Refusal):
            await questions.ask(RULE, NO)
        assert told == [RULE]

    asyncio.run(run())


def test_who_asks_for_everything_is_not_asked_about_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ASK_SECONDS", 0.0)

    async def run() -> int:
        told: list[Rule] = []
        questions = Questions(lambda rule, refusal: told.append(rule))
        for number in range(QUESTIONS + 5):
            with pytest.raises(Refusal):
                await questions.ask(parse_rule(f"GET https://h{number}.example.com:443/"), NO)
        return len(told)

    assert asyncio.run(run()) == QUESTIONS
