"""Tokens of login answers, in a session: found by `capture`, kept as secrets of this session alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from penstock.vault.capture import Captured, CaptureRule, Caught, capture, parse_capture_rule, streams
from penstock.vault.credentials.static import Static
from penstock.vault.held import Held
from penstock.vault.policy import Policy
from penstock.vault.records import SecretRecord
from penstock.vault.stubs import mint
from penstock.vault.values import Destination, Refusal, RequestHead, ResponseHead, Secret


class Captures:
    """Where a session looks for new tokens.

    Args:
        texts: its capture rules, as typed.
    """

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._rules = [(rule, Policy((), [rule.rule])) for rule in map(parse_capture_rule, texts)]

    def rule_for(self, destination: Destination, head: RequestHead) -> CaptureRule | None:
        """The rule that a request matches, if any."""
        for rule, policy in self._rules:
            try:
                policy.decide(destination, head)
            except Refusal:
                continue
            return rule
        return None

    def expected(self, destination: Destination, asked: RequestHead, response: ResponseHead, *, likely: bool) -> bool:
        """Whether an answer is to be searched for tokens: a rule says so, or what was asked makes it likely.

        Without a rule only what token endpoints send is searched (RFC 6749 section 5: JSON; some send a form): a
        stream of events, or the packs of git, must not be held.
        """
        if self.rule_for(destination, asked) is not None:
            return True
        return likely and not streams(response) and _may_be_tokens(response)

    def catch(
        self,
        destination: Destination,
        request: RequestHead,
        response: ResponseHead,
        body: bytes,
        random: Callable[[int], bytes],
    ) -> tuple[Caught, list[Held]]:
        """Put stubs in the place of tokens; return the answer, and the tokens as secrets of the session.

        Raises:
            Refusal: `capture_failed`.
        """
        rule = self.rule_for(destination, request)
        caught = capture(rule, destination, request, response, body, lambda like: mint(like, random))
        return caught, [_held(each) for each in caught.captured]


def _may_be_tokens(response: ResponseHead) -> bool:
    types = [value.partition(";")[0].strip().lower() for name, value in response.headers if name == "content-type"]
    return not types or any("json" in each or "form" in each or each.startswith("text/") for each in types)


def _held(captured: Captured) -> Held:
    """A token as a secret of the session: it is in no store, and ends with the session."""
    record = SecretRecord(name=captured.name, version=1, env=captured.env or None, bindings=captured.uses)
    credential = Static(Secret(captured.name, captured.value))
    variables = {captured.env: captured.stub} if captured.env else {}
    return Held(record, credential, captured.stub, variables, captured=True)
