"""Questions of a session to whoever started it: may this rule be added?

A no is remembered: the same question is not put again. Silence is a no to who waits, and to nobody else: whoever was
to answer may have been at lunch, so who asks later is heard again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from penstock.vault.rules import Rule
from penstock.vault.values import Refusal

QUESTIONS = 50
"""Questions that one session may put; a program that asks for more does not want an answer."""


class Questions:
    """Those of one session.

    Args:
        tell: puts a question: the rule, and what was refused without it.
        seconds: how long a connection waits for a human. No answer means no.
    """

    def __init__(self, tell: Callable[[Rule, Refusal], None], seconds: float) -> None:
        self._tell = tell
        self.seconds = seconds
        self._put = 0
        self._asked: dict[Rule, asyncio.Future[bool]] = {}

    async def ask(self, rule: Rule, refusal: Refusal) -> None:
        """Ask whether `rule` may be added. Who asks for the same meanwhile waits for the same answer.

        Raises:
            Refusal: the one given, if the answer is no, or none came, or too much was asked.
        """
        answer = self._asked.get(rule)
        if answer is None:
            if self._put >= QUESTIONS:
                raise refusal
            self._put += 1
            answer = self._asked[rule] = asyncio.get_running_loop().create_future()
            self._tell(rule, refusal)
        try:
            async with asyncio.timeout(self.seconds):
                allowed = await asyncio.shield(answer)
        except TimeoutError:
            allowed = False
            if self._asked.get(rule) is answer:
                self.answer(rule, allowed, remember=False)
        if not allowed:
            raise refusal

    def answer(self, rule: Rule, allowed: bool, *, remember: bool = True) -> None:
        """Take an answer; who answers twice is heard once. A no that is not remembered is one to who waits now."""
        answer = self._asked.get(rule)
        if answer is not None and not answer.done():
            answer.set_result(allowed)
            if not (allowed or remember):
                del self._asked[rule]
