"""Questions of a session to whoever started it: may this rule be added? A no is remembered, and silence is a no."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from penstock.vault.rules import Rule
from penstock.vault.values import Refusal

ASK_SECONDS = 120.0
"""How long a connection waits for a human to allow its host. No answer means no."""
QUESTIONS = 50
"""Different questions that one session may ask; a program that asks for more does not want an answer."""


class Questions:
    """Those of one session.

    Args:
        tell: puts a question: the rule, and what was refused without it.
    """

    def __init__(self, tell: Callable[[Rule, Refusal], None]) -> None:
        self._tell = tell
        self._asked: dict[Rule, asyncio.Future[bool]] = {}

    async def ask(self, rule: Rule, refusal: Refusal) -> None:
        """Ask whether `rule` may be added. Who asks for the same again waits for the same answer.

        Raises:
            Refusal: the one given, if the answer is no, or none came, or too much was asked.
        """
        answer = self._asked.get(rule)
        if answer is None:
            if len(self._asked) >= QUESTIONS:
                raise refusal
            answer = self._asked[rule] = asyncio.get_running_loop().create_future()
            self._tell(rule, refusal)
        try:
            async with asyncio.timeout(ASK_SECONDS):
                allowed = await asyncio.shield(answer)
        except TimeoutError:
            allowed = False
            self.answer(rule, allowed)
        if not allowed:
            raise refusal

    def answer(self, rule: Rule, allowed: bool) -> None:
        """Take an answer; who answers twice is heard once."""
        answer = self._asked.get(rule)
        if answer is not None and not answer.done():
            answer.set_result(allowed)
