"""One session: what its sandbox may reach, with which credentials, and all that must end with it.

A session is known by its sockets: nothing that a client says chooses it. What it decides with is swapped as a whole (a
secret that was revoked, a rule that was approved), so a request is judged by one state from its start to its end, and
connections that used what was revoked are cut.
"""

from __future__ import annotations

import base64
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from penstock.vault.allowance import Allowance
from penstock.vault.asking import Questions
from penstock.vault.ca import SessionCA
from penstock.vault.captures import Captures
from penstock.vault.connections import Connections, Cuttable
from penstock.vault.credentials.contract import Credential, Random
from penstock.vault.fake_dns import Names
from penstock.vault.git import RefUpdate
from penstock.vault.git_config import git_config
from penstock.vault.held import Held
from penstock.vault.java_store import java_store
from penstock.vault.live_values import LiveValues
from penstock.vault.lookout import Lookout
from penstock.vault.names import format_authority, is_address
from penstock.vault.neighbours import Neighbours
from penstock.vault.paths import parse_target
from penstock.vault.policy import Permit, Policy
from penstock.vault.push_questions import PushQuestions, described, granted, wanted
from penstock.vault.records import SecretRecord
from penstock.vault.rules import Binding, Rule, covers_host, parse_rule
from penstock.vault.scrub import Scrubber
from penstock.vault.scrub.stream import Finding
from penstock.vault.stubs import Misuse, StubTable
from penstock.vault.values import DEFAULT_PORTS, Destination, Refusal, RequestHead, Scheme
from penstock.vault.wire import Event, Opened, SessionSpec

if TYPE_CHECKING:
    from penstock.vault.ssh.identity import SSHIdentity

CAPTURED = 256
"""Tokens that one session may have captured: each costs a look at every byte that it reads."""


class Session:
    """The state of one session. Its tunnels bring the connections.

    Args:
        spec: what it may do.
        held: its secrets.
        random: random bytes, for stubs.
        tell: takes events for whoever started the session.
        audit: takes one row of the audit log; when it raises, what was decided does not happen.
        neighbours: knows the stubs of the vault's other sessions.
    """

    def __init__(
        self,
        spec: SessionSpec,
        held: Iterable[Held],
        *,
        random: Random,
        tell: Callable[[Event], None],
        audit: Callable[[Mapping[str, Any]], object],
        neighbours: Neighbours | None = None,
    ) -> None:
        self.spec = spec
        self.held = {each.record.name: each for each in held}
        self.traffic: Counter[str] = Counter()
        self.frozen = ""
        self.connections = Connections()
        self.allowance = Allowance()
        self._tell = tell
        self._audit = audit
        self._lookout = Lookout(spec.id, neighbours or Neighbours())
        self._rules = [parse_rule(text) for text in spec.rules]
        self._questions = Questions(self._put_question, spec.ask_seconds)
        self._pushes = PushQuestions(spec.ask_seconds, granted(spec.pushes, self.held))
        self._values = LiveValues(lambda: self.held.values(), random)
        self._decide_anew()
        self.ca = SessionCA(self._hosts(), lifetime=spec.lifetime)
        self.names = Names(self._names_host)
        self.captures = Captures(spec.captures)
        self.ssh = self._ssh_identity()

    def __repr__(self) -> str:
        return f"Session({self.spec.id!r})"

    def _decide_anew(self) -> None:
        """Make the policy out of the secrets and rules of now."""
        bindings = [binding for held in self.held.values() for binding in held.bindings]
        tokens = {name: held.stub for name, held in self.held.items() if held.captured}
        self.policy = Policy(bindings, self._rules, tokens)
        stubs = {
            stub: held.record.name
            for held in self.held.values()
            for stub in (held.stub, *held.variables.values())
            if stub
        }
        self._lookout.know(stubs)

    @property
    def stubs(self) -> StubTable:
        """The session's own stubs."""
        return self._lookout.stubs

    def _allow_hosts(self) -> None:
        """Let the session's authority sign for what rules and bindings have come to name."""
        self.ca.extend([host for host in self._hosts() if not self.ca.permits(host)])

    def _hosts(self) -> tuple[str, ...]:
        """The hosts that the session's authority may sign for. Who may be asked about any host needs any."""
        found = {rule.host for rule in self._all_rules() if rule.scheme == "https"}
        return ("*", *sorted(host for host in found if is_address(host))) if self.spec.ask else tuple(sorted(found))

    def _all_rules(self) -> list[Rule]:
        return [binding.rule for binding in self.policy.bindings] + self._rules

    def _names_host(self, name: str) -> bool:
        return self.spec.ask or any(covers_host(rule.host, name) for rule in self._all_rules())

    def opened(self) -> Opened:
        """What the sandbox gets.

        Raises:
            Refusal: two secrets want one variable.
        """
        self._check_variables()
        env = {name: stub.decode() for held in self.held.values() for name, stub in held.variables.items()}
        known_hosts = self.ssh.known_hosts() if self.ssh is not None else ""
        ssh_config = self.ssh.ssh_config() if self.ssh is not None else ""
        return Opened(
            env=env,
            ca_pem=self.ca.pem.decode(),
            hosts=tuple(dict.fromkeys(format_authority(rule.host, rule.port, -1) for rule in self._all_rules())),
            git_config=git_config(self.held.values()),
            known_hosts=known_hosts,
            ssh_config=ssh_config,
            java_store=base64.b64encode(java_store(self.ca.pem)).decode(),
        )

    def _check_variables(self) -> None:
        owners: dict[str, str] = {}
        for held in self.held.values():
            for variable in held.variables:
                if other := owners.get(variable):
                    reason = f"The secrets {other} and {held.record.name} both want the variable {variable}."
                    raise Refusal("variable_twice", reason, fix="Set one of them with another --env.", status=409)
                owners[variable] = held.record.name

    def _ssh_identity(self) -> SSHIdentity | None:
        """The host keys that the session sees, where a rule says anything of SSH."""
        places = [(rule.host, rule.port) for rule in self._all_rules() if rule.scheme == "ssh"]
        if not places:
            return None
        from penstock.vault.ssh.identity import SSHIdentity  # asyncssh is large, and most sessions need none of it

        return SSHIdentity(self.spec.id, time.time(), [place for place in places if "*" not in place[0]])

    # -- connections ---------------------------------------------------------------------------------------------

    def connected(self, connection: Cuttable) -> AbstractContextManager[None]:
        """Count a connection among those that a freeze, a revocation or the end of the session cuts.

        Raises:
            Refusal: there are too many.
        """
        return self.connections.counted(connection)

    def used(self, connection: Cuttable, secret: str) -> None:
        """Note that a connection has carried a secret."""
        self.connections.used(connection, secret)

    def cut(self, secret: str | None = None) -> int:
        """Cut the connections that carried `secret`, or all of them; return how many."""
        return self.connections.cut(secret)

    # -- decisions -----------------------------------------------------------------------------------------------

    def check_open(self) -> None:
        """Refuse everything while the session is frozen.

        Raises:
            Refusal: `frozen`.
        """
        if self.frozen:
            raise Refusal("frozen", f"This session is frozen: {self.frozen}.", fix="Whoever runs it can thaw it.")

    async def reachable(self, host: str, port: int, schemes: Sequence[Scheme] = ("https", "http", "ssh")) -> None:
        """Refuse a connection to where no request could go; ask first, where the session is one that asks.

        Raises:
            Refusal: `no_rule`.
        """
        self.check_open()
        wanted = [Destination(scheme, host, port) for scheme in schemes]
        if any(self.policy.may_connect(each) for each in wanted):
            return
        scheme = next((scheme for scheme in schemes if DEFAULT_PORTS[scheme] == port), schemes[0])
        proposal = Rule(("*",), scheme, host, port)
        fix = f"To allow it: --allow {shlex.quote(str(proposal))}"
        await self._ask(proposal, Refusal("no_rule", f"No rule lets this session reach {host}:{port}.", fix=fix))

    def only_ssh(self, host: str, port: int) -> bool:
        """Whether SSH is all that may be spoken there."""
        can = {scheme: self.policy.may_connect(Destination(scheme, host, port)) for scheme in DEFAULT_PORTS}
        return can["ssh"] and not (can["https"] or can["http"])

    async def decide(self, destination: Destination, head: RequestHead) -> Permit:
        """Judge one request, and look for stubs in its head where they do not belong, whatever the judgement is.

        Raises:
            Refusal: it may not leave.
        """
        self.check_open()
        try:
            permit = self.policy.decide(destination, head)
        except Refusal as refusal:
            own = self.policy.bindings_at(destination) if refusal.code in _AT_ITS_HOST else ()
            self.look(head, destination_text(destination), own)
            if refusal.code != "no_rule":
                raise
            await self._ask(rule_for(destination, head), refusal)
            permit = self.policy.decide(destination, head)
        else:
            self.look(head, destination_text(destination), (permit.binding,) if permit.binding is not None else ())
        if permit.binding is not None:
            self.held[permit.binding.secret].check_usable()
        return permit

    async def _ask(self, rule: Rule, refusal: Refusal) -> None:
        """Ask whether a rule may be added, where this session is one that asks. Raises Refusal: the one given."""
        if not self.spec.ask:
            raise refusal
        await self._questions.ask(rule, refusal)

    def _put_question(self, rule: Rule, refusal: Refusal) -> None:
        event = Event(session=self.spec.id, kind="ask", about="egress", detail=refusal.reason, proposal=str(rule))
        self._tell(event)

    async def ask_push(self, binding: Binding, place: Rule, updates: Sequence[RefUpdate], refusal: Refusal) -> None:
        """Ask whether a push may change refs that its binding does not name, where this session is one that asks.

        Args:
            binding: under which it is sent.
            place: its own request.
            updates: what it may not do without an answer.
            refusal: why not.

        Raises:
            Refusal: the one given, with what became of the question; or what was changed meanwhile.
        """
        missing = self._pushes.missing(binding, place, updates)
        if not missing:
            return
        rule = wanted(binding, place, missing)
        if not self.spec.ask or rule is None or self.stubs.hidden(str(rule)) != str(rule):
            raise refusal
        detail = described(rule, missing, binding.refs)
        event = Event(session=self.spec.id, kind="ask", about="push", detail=detail, proposal=str(rule))
        await self._pushes.ask(rule, missing, refusal, lambda: self._tell(event))
        self._check_still(binding, refusal)

    def _check_still(self, binding: Binding, refusal: Refusal) -> None:
        """Refuse what may not be sent any more, whatever was answered: the answer took its time."""
        self.check_open()
        self.held[binding.secret].check_usable()
        if binding not in self.policy.bindings:
            raise refusal

    def answer(self, proposal: str, allowed: bool, remember: bool = True) -> None:
        """Take the answer to a question; a yes adds the rule.

        Args:
            remember: of a no, and of any answer to a push: whether it holds from now on, or is one to what waits now.

        Raises:
            Refusal: the proposal is no rule.
        """
        if self._pushes.knows(proposal):
            if allowed:
                self.audit("allow_rule" if remember else "allow_push", rule=proposal)
            self._pushes.answer(proposal, allowed=allowed, remember=remember)
            return
        rule = parse_rule(proposal)
        if allowed:
            self.allow(rule)
        self._questions.answer(rule, allowed, remember=remember)

    def allow(self, rule: Rule) -> None:
        """Add an egress rule."""
        self.audit("allow_rule", rule=str(rule))
        self._rules.append(rule)
        self._decide_anew()
        self._allow_hosts()

    # -- what is seen --------------------------------------------------------------------------------------------

    def audit(self, decision: str, **fields: Any) -> None:
        """Write one row of the audit log, without stubs. Raises Refusal: what was decided must not happen."""
        shown = {name: self.stubs.hidden(each) if isinstance(each, str) else each for name, each in fields.items()}
        self._audit({"session": self.spec.id, "decision": decision, **shown})

    def denied(self, refusal: Refusal, **fields: Any) -> None:
        """Record a refusal, and tell it."""
        self.traffic["denied"] += 1
        self.audit("deny", code=refusal.code, reason=refusal.reason, **fields)
        if refusal.challenge:
            return  # the client is asked for its login, as git wants it: it goes on with its stub
        detail, proposal = self.stubs.hidden(refusal.reason), self.stubs.hidden(refusal.fix)
        self._tell(Event(session=self.spec.id, kind="denied", detail=detail, code=refusal.code, proposal=proposal))

    def look(self, head: RequestHead, place: str, own: Sequence[Binding] = ()) -> None:
        """Look through the head of a request for stubs that do not belong there.

        Args:
            head: as the client sent it.
            place: what it is about, for the alarm.
            own: the bindings whose own stub may stand in their slot.

        Raises:
            Refusal: as `misused`.
        """
        self.misused(self._lookout.in_head(head, own), place)

    def look_in_body(self, head: RequestHead, body: bytes, binding: Binding | None, place: str) -> None:
        """The same for a body that is there whole; `binding` as it was decided on."""
        self.misused(self._lookout.in_body(head, body, binding), place)

    def look_at(self, data: bytes, where: str, place: str) -> bool:
        """Look through some bytes that are no request's head. Raises Refusal: as `misused`."""
        found = self._lookout.in_bytes(data, where)
        self.misused(found, place)
        return bool(found)

    def look_through(self, tail: bytes, data: bytes, where: str, place: str) -> bytes:
        """The same for the next piece of a stream: give back what is returned as `tail` with the piece after it."""
        keep = self._lookout.longest - 1
        window = tail + data
        return b"" if self.look_at(window, where, place) or keep <= 0 else window[-keep:]

    def is_other_stub(self, value: bytes, secret: str) -> bool:
        """Whether some bytes are the stub of another secret than `secret`, of this session or of another."""
        return self._lookout.is_other(value, secret)

    def leaked(self, found: Iterable[Finding], place: str) -> None:
        """Raise the alarm about live values in a request: nobody in the sandbox can know one.

        Raises:
            Refusal: `secret_in_request`, where one is among what was found; `frozen`, as `misused`.
        """
        names = {self._values.certain.get(each.secret) for each in found} - {None}
        if not names:
            return
        self.misused([Misuse(name or "", "body, as the value itself") for name in sorted(filter(None, names))], place)
        raise Refusal(
            "secret_in_request",
            f"The body of this request holds the value of {', '.join(sorted(filter(None, names)))}.",
            fix="Find out how it came into the sandbox, and replace it: `penstock secrets rotate`.",
        )

    def misused(self, found: Sequence[Misuse], place: str) -> None:
        """Raise the alarm about stubs that were seen where they do not belong; freeze the session if it wants that.

        Raises:
            Refusal: `frozen`.
        """
        for misuse in found:
            detail = f"The stub of {misuse.secret} was seen in {misuse.where} of a request to {place}."
            self.traffic["alarms"] += 1
            self.audit("alarm", secret=misuse.secret, reason=misuse.where, destination=place)
            self._tell(Event(session=self.spec.id, kind="alarm", detail=detail, code="stub_misused"))
        if found and self.spec.freeze_on_misuse:
            self.freeze("a stub was seen where it does not belong")
            self.check_open()

    def freeze(self, reason: str) -> None:
        """Cut everything and refuse everything until `thaw`."""
        self.frozen = reason or "no reason was given"
        self.cut()
        self.audit("freeze", reason=self.frozen)
        self._tell(Event(session=self.spec.id, kind="frozen", detail=self.frozen))

    def thaw(self) -> None:
        """Let a frozen session out again."""
        self.audit("thaw")
        self.frozen = ""

    # -- secrets -------------------------------------------------------------------------------------------------

    def revoke(self, secret: str) -> None:
        """Send nothing with `secret` any more, and cut what carried it."""
        self.held[secret].revoked = True
        count = self.cut(secret)
        self.audit("revoke", secret=secret, connections=count)
        self._tell(Event(session=self.spec.id, kind="revoked", detail=f"The secret {secret} was revoked."))

    def keep(self, held: Held) -> None:
        """Take a token that was captured; one from the same place before it is its predecessor, and still scrubbed.

        Raises:
            Refusal: `too_many_tokens`.
        """
        former = self.held.get(held.record.name)
        if former is None and sum(each.captured for each in self.held.values()) >= CAPTURED:
            raise Refusal("too_many_tokens", f"This session has captured {CAPTURED} tokens already.", status=429)
        if former is not None:
            self._values.retire(former.credential.live())
        self.audit("capture", secret=held.record.name, rule="; ".join(held.record.bindings))
        self.held[held.record.name] = held
        self._decide_anew()
        self._allow_hosts()

    def replace(self, record: SecretRecord, credential: Credential) -> None:
        """Take a newer version of a secret: its value, and where it may go. Its stubs stay what they are.

        A version that the credential itself has stored (a refresh token that its service replaced) is no news: it
        knows what it was before.
        """
        held = self.held[record.name]
        if credential is not held.credential:
            self._values.retire(held.credential.live())
        if record.bindings != held.record.bindings:
            self.cut(record.name)  # a connection that goes on was let in by what does not count any more
            self._pushes.forget(record.name)
        held.record, held.credential, held.revoked = record, credential, False
        self._decide_anew()
        self._allow_hosts()

    @property
    def scrubber(self) -> Scrubber:
        """The scrubber of now: every live value of every secret, and every former one."""
        return self._values.scrubber

    def shows_in_name(self, names: str) -> bool:
        """Whether a live value stands in the names of fields (lower case)."""
        return self._values.in_name(names)


_AT_ITS_HOST = ("no_binding", "ambiguous_binding", "bad_path", "bad_query", "method_refused")
"""Refusals of requests to the right host: a stub in its own slot is where it belongs, though the rest is wrong."""


def rule_for(destination: Destination, head: RequestHead) -> Rule:
    """The narrowest rule that would allow a request."""
    path = parse_target(head.target).path
    return Rule((head.method,), destination.scheme, destination.host, destination.port, path)


def destination_text(destination: Destination) -> str:
    """Write a destination as the audit log has it."""
    return f"{destination.scheme}://{format_authority(destination.host, destination.port, 0)}"
