"""Pushes over HTTPS: nothing of one leaves before its commands were read and allowed by the binding's `refs`, or by
somebody who was asked.
"""

from __future__ import annotations

from penstock.vault import git
from penstock.vault.bodies import Body, Reply
from penstock.vault.push_questions import AskPush, ask_nobody
from penstock.vault.rules import Binding
from penstock.vault.values import Headers, Refusal, RequestHead


class Begun:
    """A body of which the beginning was read already."""

    def __init__(self, beginning: list[bytes], body: Body) -> None:
        self._beginning = beginning
        self._body = body

    @property
    def length(self) -> int | None:
        """As of the whole body."""
        return self._body.length

    @property
    def trailers(self) -> Headers:
        """As of the body."""
        return self._body.trailers

    async def read(self) -> bytes:
        """The beginning, then the rest."""
        return self._beginning.pop(0) if self._beginning else await self._body.read()


class Push:
    """The check of one request under a binding with `refs`.

    Args:
        ask: is asked about the refs that `refs` does not cover.

    Raises:
        Refusal: `bad_git`: it is no request of git's and changes something, by which refs could be changed as well.
    """

    def __init__(self, binding: Binding, head: RequestHead, ask: AskPush = ask_nobody) -> None:
        self._ask = ask
        asked = git.of_request(head)
        if asked is None and head.method not in ("GET", "HEAD", "OPTIONS"):
            raise Refusal(
                "bad_git", "This place is bound for git with rules for its refs, and this request is not git's.",
                fix="Bind the secret to what else it may do, without refs=, at another path.",
            )  # fmt: skip
        self.has_commands = asked is not None and asked.commands
        encoding = ", ".join(head.values("content-encoding"))
        self._check = git.PushCheck([git.parse_ref_rule(text) for text in binding.refs], encoding)

    async def checked(self, body: Body) -> Body:
        """Read the commands; return the body, whole, once they are allowed. No more of it is read before.

        Raises:
            Refusal: `ref_not_allowed`, `bad_git`.
        """
        beginning: list[bytes] = []
        while data := await body.read():
            beginning.append(data)
            if await self._may_go_on(data):
                return Begun(beginning, body)
        self._check.end()
        return Begun(beginning, body)

    async def _may_go_on(self, data: bytes) -> bool:
        """Whether all commands are read, and allowed."""
        try:
            return self._check.feed(data) is not None
        except Refusal as refusal:
            if not self._check.forbidden:
                raise
            await self._ask(self._check.forbidden, refusal)
            return True

    async def refuse(self, refusal: Refusal, reply: Reply) -> bool:
        """Answer in the form of git's own report, which its user sees; False where git asked for none."""
        answer = git.refused(self._check.push, refusal) if self._check.push is not None else None
        if answer is None:
            return False
        head, report = answer
        await reply.head(head, len(report))
        await reply.data(report)
        await reply.end()
        return True
