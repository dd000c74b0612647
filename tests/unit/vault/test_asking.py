"""Questions: one answer for all who ask the same, a no that is remembered, silence that is a no."""

import asyncio

import pytest

from penstock.vault.asking import QUESTIONS, Questions
from penstock.vault.rules import Rule, parse_rule
from penstock.vault.values import Refusal

RULE = parse_rule("GET https://new.example.com:443/a")
NO = Refusal("no_rule", "No rule allows it.")


def test_who_asks_the_same_waits_for_the_same_answer() -> None:
    async def run() -> None:
        told: list[Rule] = []
        questions = Questions(lambda rule, refusal: told.append(rule), 60.0)
        waiting = [asyncio.ensure_future(questions.ask(RULE, NO)) for _ in range(3)]
        await asyncio.sleep(0)
        questions.answer(RULE, True)
        await asyncio.gather(*waiting)
        await questions.ask(RULE, NO)
        assert told == [RULE]

    asyncio.run(run())


def test_a_no_is_remembered() -> None:
    async def run() -> None:
        told: list[Rule] = []
        questions = Questions(lambda rule, refusal: told.append(rule), 60.0)
        waiting = asyncio.ensure_future(questions.ask(RULE, NO))
        await asyncio.sleep(0)
        questions.answer(RULE, False)
        for each in (waiting, questions.ask(RULE, NO)):
            with pytest.raises(Refusal) as refused:
                await each
            assert refused.value is NO
        assert told == [RULE]

    asyncio.run(run())


def test_silence_is_a_no_to_who_waited_and_who_asks_later_is_heard() -> None:
    async def run() -> None:
        told: list[Rule] = []
        questions = Questions(lambda rule, refusal: told.append(rule), 0.01)
        waiting = [asyncio.ensure_future(questions.ask(RULE, NO)) for _ in range(2)]
        for each in waiting:
            with pytest.raises(Refusal) as refused:
                await each
            assert refused.value is NO
        questions.answer(RULE, True)  # to nobody
        questions.seconds = 60.0
        later = asyncio.ensure_future(questions.ask(RULE, NO))
        await asyncio.sleep(0)
        questions.answer(RULE, True)
        await later
        assert told == [RULE, RULE]

    asyncio.run(run())


def test_a_no_that_is_not_remembered_is_one_to_who_waits() -> None:
    async def run() -> None:
        told: list[Rule] = []
        questions = Questions(lambda rule, refusal: told.append(rule), 60.0)
        for _ in range(2):
            waiting = asyncio.ensure_future(questions.ask(RULE, NO))
            await asyncio.sleep(0)
            questions.answer(RULE, False, remember=False)
            with pytest.raises(Refusal):
                await waiting
        assert told == [RULE, RULE]

    asyncio.run(run())


def test_who_asks_for_everything_is_not_asked_about_any_more() -> None:
    async def run() -> int:
        told: list[Rule] = []
        questions = Questions(lambda rule, refusal: told.append(rule), 0.0)
        for number in range(QUESTIONS + 5):
            with pytest.raises(Refusal):
                await questions.ask(parse_rule(f"GET https://h{number}.example.com:443/"), NO)
        return len(told)

    assert asyncio.run(run()) == QUESTIONS
