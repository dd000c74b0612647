"""The door that a session's policy makes: bindings with the slot `ssh`, towards one host and port.

What may be asked is `Policy.decide_ssh`'s to say. Two questions are asked later than the others, and answered here:
each line of a shell whose bindings name commands, and the branches of a push, which stand in what git sends after it
was let in.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from penstock.vault.git import PushCheck, RefUpdate, parse_ref_rule, report_status
from penstock.vault.policy import Policy
from penstock.vault.push_questions import AskPush, ask_nobody
from penstock.vault.rules import Binding, Rule, covers_host, covers_method, covers_port
from penstock.vault.ssh.commands import LineDecision, LineGate, covers
from penstock.vault.ssh.door import Entry, InputCheck, Login, SSHPermit
from penstock.vault.values import Destination, Refusal

AskAbout = Callable[[Binding, Rule, Sequence[RefUpdate], Refusal], Awaitable[None]]
"""As `AskPush`, with the binding under which the push is sent, and the push's own request."""


class PolicyDoor:
    """The rules of one session towards one host and port (`door.Door`).

    Args:
        policy: the session's.
        destination: where to; its scheme is `ssh`.
        login: says how the vault authenticates with a binding's secret.
        stub: says which stub must be presented for a binding; None: none (keys; see `door.Entry`).
        ask: is asked about refs that no binding names; None: nobody is.
    """

    def __init__(
        self,
        policy: Policy,
        destination: Destination,
        login: Callable[[Binding], Login],
        stub: Callable[[Binding], bytes | None],
        ask: AskAbout | None = None,
    ) -> None:
        self._policy = policy
        self._destination = destination
        self._login = login
        self._stub = stub
        self._ask = ask

    def enter(self, user: str) -> Entry:
        """Say how a user comes in: freely if any of its bindings asks for no stub. Raises Refusal: `no_binding`."""
        bindings = self._bindings(user)
        if not bindings:
            raise Refusal(
                "no_binding",
                f"No secret is bound to ssh://{user}@{self._destination.host}:{self._destination.port}.",
                fix=f"See: penstock vault why ssh://{user}@{self._destination.host}:{self._destination.port}",
            )
        stubs = [self._stub(binding) for binding in bindings]
        return Entry(() if None in stubs else tuple(stub for stub in dict.fromkeys(stubs) if stub is not None))

    async def decide(self, user: str, kind: str, command: str) -> SSHPermit:
        """Say whether this may be asked, and with which secret. Raises Refusal."""
        if kind == "shell":
            return self._shell(user)
        permit = self._policy.decide_ssh(self._destination, user, kind, command)
        binding = permit.binding
        assert binding is not None
        check: InputCheck | None = None
        if kind == "git-receive-pack" and binding.refs:
            ask = self._asking(binding, user, command)
            check = PushGate(PushCheck([parse_ref_rule(ref) for ref in binding.refs]), ask)
        return SSHPermit(self._login(binding), binding.secret, str(binding), check=check)

    def _asking(self, binding: Binding, user: str, repository: str) -> AskPush:
        if self._ask is None:
            return ask_nobody
        path = "/" + repository.removeprefix("/").removesuffix(".git")
        to = self._destination
        return partial(self._ask, binding, Rule(("git-receive-pack",), to.scheme, to.host, to.port, path, user))

    def _shell(self, user: str) -> SSHPermit:
        """Several bindings of one secret make one shell: a line needs any of them."""
        bindings = [binding for binding in self._bindings(user) if covers_method(binding.rule, "shell")]
        if len({binding.secret for binding in bindings}) != 1:
            self._policy.decide_ssh(self._destination, user, "shell")
            raise Refusal("ambiguous_binding", "More than one secret is bound to this shell.")
        patterns = [binding.rule.command for binding in bindings]
        check = None if "*" in patterns else LineGate(lambda line: any(covers(one, line) for one in patterns))
        return SSHPermit(self._login(bindings[0]), bindings[0].secret, str(bindings[0]), check=check)

    def _bindings(self, user: str) -> list[Binding]:
        to = self._destination
        return [
            binding
            for binding in self._policy.bindings
            if binding.rule.scheme == "ssh"
            and covers_host(binding.rule.host, to.host)
            and covers_port(binding.rule, to.port)
            and binding.rule.user in ("*", user)
        ]


class PushGate:
    """Holds a push until its commands are read and allowed; then everything passes. At most `git.MAX_COMMANDS` wait.

    Args:
        check: the rules of refs.
        ask: is asked about refs that they do not cover.
    """

    def __init__(self, check: PushCheck, ask: AskPush = ask_nobody) -> None:
        self._check = check
        self._ask = ask
        self._refusal: Refusal | None = None
        self._held = bytearray()
        self._decisions: list[LineDecision] = []

    def feed(self, data: bytes) -> bytes:
        """Take what git sends; return what may go on. Raises Refusal: `bad_git`."""
        if self._check.push is not None:
            return data
        self._held += data
        try:
            push = self._check.feed(data)
        except Refusal as refusal:
            if not self._check.forbidden:
                raise
            self._refusal = refusal
            return b""
        return self._released() if push is not None else b""

    def question(self) -> Callable[[], Awaitable[bytes]] | None:
        """Whether the refs may be changed that no rule covers."""
        refusal, self._refusal = self._refusal, None
        return partial(self._asked, refusal) if refusal is not None else None

    async def _asked(self, refusal: Refusal) -> bytes:
        """Ask; return the commands. Raises Refusal: `ref_not_allowed`."""
        await self._ask(self._check.forbidden, refusal)
        return self._released()

    def _released(self) -> bytes:
        updates = self._check.push.updates if self._check.push is not None else ()
        self._decisions += [LineDecision(f"{update.action} {update.ref}", True) for update in updates]
        held, self._held = bytes(self._held), bytearray()
        return held

    def end(self) -> bytes:
        """A push that ended before its commands did is not sent."""
        self._held.clear()
        return b""

    def answer(self, refusal: Refusal) -> bytes:
        """Git's own report: each ref, rejected, and why."""
        report = report_status(self._check.push, refusal) if self._check.push is not None else None
        return report or b""

    def decisions(self) -> list[LineDecision]:
        """Take the refs that were allowed."""
        taken, self._decisions = self._decisions, []
        return taken
