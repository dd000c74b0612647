"""Questions about pushes: may a session change refs that its binding does not name?

What is asked is a rule in the notation of bindings, for one repository and the refs that this push would change:

    POST https://git.example.com:443/team/app.git/git-receive-pack basic:password refs=refs/heads/fix:create+update

A yes lets the pushes go on that wait for it, and no other; one that is remembered stands for the rest of the session. A
no that is remembered refuses whatever would do the same, and more besides. Silence is a no to the pushes that waited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

import msgspec

from penstock.vault.asking import QUESTIONS
from penstock.vault.git import RefRule, RefUpdate, covers, parse_ref_rule
from penstock.vault.rules import Binding, Rule, parse_binding
from penstock.vault.values import Refusal

MOST = 2000
"""Characters of a rule that is asked about: what is longer, nobody reads."""

AskPush = Callable[[Sequence[RefUpdate], Refusal], Awaitable[None]]
"""Asks whether a push may change these refs. Raises the Refusal that is given, or one that says more, where it may not.
"""


async def ask_nobody(updates: Sequence[RefUpdate], refusal: Refusal) -> None:
    """Refuse: what a session does that asks nobody."""
    raise refusal


def wanted(binding: Binding, place: Rule, updates: Sequence[RefUpdate]) -> Binding | None:
    """Return the rule that would allow a push, or None where it cannot be written exactly, or is too long to be read.

    Args:
        binding: under which the push is sent; its secret and slot are the rule's.
        place: the push's own request, of its one repository.
        updates: what it would change. A branch that may be created may be updated, too: it is the session's own.
    """
    refs = tuple(str(_rule_of(update)) for update in updates)
    rule = msgspec.structs.replace(binding, rule=place, refs=refs)
    if "*" in place.path or len(str(rule)) > MOST:
        return None
    try:
        return rule if parse_binding(str(rule), rule.secret) == rule else None
    except Refusal:  # a comma in a ref's name, a character that is not printed
        return None


def _rule_of(update: RefUpdate) -> RefRule:
    return RefRule(update.ref, ("create", "update") if update.action == "create" else (update.action,))


def described(rule: Binding, updates: Sequence[RefUpdate], refs: Sequence[str]) -> str:
    """Say to people what a push would do. `refs`: what the binding lets it change."""
    changes = ", ".join(f"{update.action} {update.ref}" for update in updates)
    forced = " (by force, perhaps: a push does not say)" if any(each.action == "update" for each in updates) else ""
    _, host, _, path = _repository(rule)
    return f"A push to {host}{path} would {changes}{forced}; the secret {rule.secret} may push {' '.join(refs)} there."


def granted(texts: Iterable[str], secrets: Iterable[str]) -> list[Binding]:
    """Read rules that were allowed before: each for every secret, for it names none. What is no rule is left out."""
    names, found = list(secrets), list[Binding]()
    for text in texts:
        with suppress(Refusal):
            found += [parse_binding(text, name) for name in names]
    return found


class PushQuestions:
    """Those of one session.

    Args:
        seconds: how long a push waits for an answer.
        granted: what was allowed before.
    """

    def __init__(self, seconds: float, granted: Sequence[Binding] = ()) -> None:
        self._seconds = seconds
        self._told: dict[str, Binding] = {}
        self._open: dict[Binding, asyncio.Future[bool]] = {}
        self._granted = list(granted)
        self._denied: list[Binding] = []
        self._left = QUESTIONS

    def missing(self, binding: Binding, place: Rule, updates: Sequence[RefUpdate]) -> list[RefUpdate]:
        """Return what of a push was not allowed for the rest of the session."""
        wish = msgspec.structs.replace(binding, rule=place)
        rules = [rule for one in self._granted if _with_refs(one, wish.refs) == wish for rule in _refs(one)]
        return [update for update in updates if not any(covers(rule, update) for rule in rules)]

    async def ask(
        self, rule: Binding, updates: Sequence[RefUpdate], refusal: Refusal, tell: Callable[[], None]
    ) -> None:
        """Wait for the answer to a rule, as others may do already; `tell` puts the question, once.

        Raises:
            Refusal: the one given, with what became of the question.
        """
        if any(_does(denied, rule, updates) for denied in self._denied):
            raise _with(refusal, "Somebody was asked before, and said no.")
        answer = self._open.get(rule)
        if answer is None:
            if self._left <= 0:
                raise _with(refusal, "This session has asked too often.")
            self._left -= 1
            answer = self._open[rule] = asyncio.get_running_loop().create_future()
            self._told[str(rule)] = rule
            tell()
        try:
            async with asyncio.timeout(self._seconds):
                allowed = await asyncio.shield(answer)
        except TimeoutError:
            self.answer(str(rule), allowed=False, remember=False)
            raise _with(
                refusal, "Somebody was asked, and nobody answered in time.", "Push again to ask again."
            ) from None
        if not allowed:
            raise _with(refusal, "Somebody was asked, and it was not allowed.")

    def knows(self, rule: str) -> bool:
        """Whether this was asked, as it was written then."""
        return rule in self._told

    def answer(self, rule: str, *, allowed: bool, remember: bool) -> None:
        """Take an answer to what was asked. Who waits hears the first one; what is remembered counts at any time."""
        asked = self._told[rule]
        if remember:
            (self._granted if allowed else self._denied).append(asked)
        answer = self._open.pop(asked, None)
        if answer is not None and not answer.done():
            answer.set_result(allowed)

    def forget(self, secret: str) -> None:
        """Drop what was allowed for a secret: whoever changes where it may go has said it anew."""
        self._granted = [one for one in self._granted if one.secret != secret]


def _with_refs(rule: Binding, refs: tuple[str, ...]) -> Binding:
    return msgspec.structs.replace(rule, refs=refs)


def _refs(rule: Binding) -> list[RefRule]:
    return [parse_ref_rule(text) for text in rule.refs]


def _does(denied: Binding, rule: Binding, updates: Sequence[RefUpdate]) -> bool:
    """Whether a push would do all that was denied."""
    if (denied.secret, _repository(denied)) != (rule.secret, _repository(rule)):
        return False
    return all(any(covers(ref, update) for update in updates) for ref in _refs(denied))


def _repository(rule: Binding) -> tuple[str, str, int, str]:
    """A repository, however it is written: `/team/app.git` is `/team/app`."""
    path = rule.rule.path.removesuffix("/git-receive-pack").removesuffix(".git")
    return rule.rule.scheme, rule.rule.host, rule.rule.port, path


def _with(refusal: Refusal, outcome: str, fix: str = "Push to a branch that is allowed.") -> Refusal:
    return Refusal(refusal.code, f"{refusal.reason} {outcome}", fix=fix, status=refusal.status)
