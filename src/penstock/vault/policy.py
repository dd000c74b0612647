"""What may leave: nothing, but what exactly one binding or an egress rule says. Values in, a permit or a refusal out.

The order is the whole of it:

1. `TRACE`, `CONNECT` and their kin are refused, `Host` must name the destination, and the path must read in one way.
2. A host is *bound* if a secret may go there: same scheme, host and port. Then exactly one binding must match, by
   method and path; if several do, by whose slot is filled. None: refused, even where an egress rule would match, for on
   a bound host nobody uses another credential than ours. Several: refused, for nobody can say which secret was meant.
3. Over http a host that is bound over https is refused whatever the rules say, and at other ports it needs a rule that
   names the host itself: a rule for every host did not mean this one.
4. Otherwise an egress rule. Otherwise refused.

Every refusal says which part was closest and what to type. `explain` says the same without a request.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

import msgspec

from penstock.vault import names
from penstock.vault.carriers import is_form
from penstock.vault.paths import Target, parse_target, query_pairs
from penstock.vault.rules import (
    NEVER_METHODS,
    Binding,
    PathPattern,
    Rule,
    covers_host,
    covers_method,
    covers_port,
)
from penstock.vault.slots import Slot, is_filled, read
from penstock.vault.values import DEFAULT_PORTS, Destination, Refusal, RequestHead


class Permit(msgspec.Struct, frozen=True):
    """A request may leave.

    `rule`: the one that allows it. `binding`: whose secret goes with it (None: an egress rule, nothing is swapped).
    `needs_body`: the body must be whole before `inject.rebuild`, for the slot is in it, or a foreign credential may be.
    """

    rule: Rule
    binding: Binding | None = None
    needs_body: bool = False


class Explanation(msgspec.Struct, frozen=True):
    """What `penstock vault why` prints.

    `decided_by`: the rule or binding as typed, "" where nothing matched. `closest`: the one that fails in the fewest
    parts, which `differs` names (`host`, `scheme`, `port`, `method`, `path`). `proposal`: what to type to allow it.
    """

    allowed: bool
    code: str
    reason: str
    decided_by: str = ""
    secret: str = ""
    closest: str = ""
    differs: tuple[str, ...] = ()
    proposal: str = ""


class _Entry(msgspec.Struct, frozen=True):
    """A rule ready to be matched; `binding` where it is one."""

    rule: Rule
    pattern: PathPattern
    binding: Binding | None

    def covers(self, method: str, target: Target) -> bool:
        both_readings = self.binding is None
        return covers_method(self.rule, method) and self.pattern.covers(target, both_readings=both_readings)


class Policy:
    """The bindings and rules of one session, unchangeable: a change makes a new one.

    Args:
        bindings: where secrets may go.
        rules: what may leave without one.
        tokens: the stubs, by name, of secrets that may share a place with others, because they are the answer to a
            login there (capture.py). Such a place is told apart by the stub that stands in it.
    """

    __slots__ = ("_bound", "_hosts", "_rules", "_tokens", "bindings", "rules")

    def __init__(
        self, bindings: Sequence[Binding] = (), rules: Sequence[Rule] = (), tokens: Mapping[str, bytes] | None = None
    ) -> None:
        self._tokens = dict(tokens or {})
        self.bindings = tuple(dict.fromkeys(bindings))
        self.rules = tuple(dict.fromkeys(rules))
        self._bound = tuple(_Entry(one.rule, PathPattern(one.rule.path), one) for one in self.bindings)
        self._rules = tuple(_Entry(rule, PathPattern(rule.path), None) for rule in self.rules)
        self._hosts = frozenset(one.rule.host for one in self.bindings)

    def decide(self, destination: Destination, head: RequestHead) -> Permit:
        """Say with which rule a request may leave.

        Args:
            destination: where the connection goes; its host is canonical.
            head: as parsed; a `Host` header, if there is one, must name the destination.

        Raises:
            Refusal: `method_refused`, `host_mismatch` (421), `bad_request`, `bad_path`, `bad_query` (400),
                `plaintext_refused`, `no_binding`, `ambiguous_binding`, `no_rule`.
        """
        _check_method(head.method)
        _check_host(destination, head)
        target = parse_target(head.target)
        bound = self._bound_at(destination)
        if bound:
            return self._decide_bound(bound, destination, head, target)
        return self._decide_unbound(destination, head.method, target)

    def decide_ssh(self, destination: Destination, user: str, operation: str, argument: str = "") -> Permit:
        """Say with which binding an SSH channel may be opened.

        Args:
            user: the login name that the client gave.
            operation: `exec`, `shell`, `subsystem:NAME`, `git-upload-pack`, `git-receive-pack` ...
            argument: the command, the line typed in a checked shell, or the repository's path.

        Raises:
            Refusal: `no_binding`, `ambiguous_binding`, `bad_path`.
        """
        bound = self._bound_at(destination)
        target = _repository(argument) if operation.startswith("git-") else Target("/", None)
        found = [entry for entry in bound if _covers_ssh(entry, user, operation, argument, target)]
        if len(found) > 1:
            _refuse_ambiguous(found)
        if not found:
            wish = Rule((operation,), "ssh", destination.host, destination.port, target.path, user)
            wish = wish if target.path != "/" else msgspec.structs.replace(wish, path="/*")
            _refuse_ssh(destination, wish, argument, bool(bound))
        return Permit(found[0].rule, found[0].binding)

    def is_bound(self, destination: Destination) -> bool:
        """Say whether a secret may go to this scheme, host and port."""
        return bool(self._bound_at(destination))

    def bindings_at(self, destination: Destination) -> tuple[Binding, ...]:
        """Return the bindings of this scheme, host and port, whatever their methods and paths."""
        return tuple(entry.binding for entry in self._bound_at(destination) if entry.binding is not None)

    def may_connect(self, destination: Destination) -> bool:
        """Say whether any request to this destination could be allowed; if not, no certificate need be made for it."""
        if self._bound_at(destination):
            return True
        return any(_covers_destination(entry.rule, destination) for entry in self._rules)

    def names_address(self, host: str) -> bool:
        """Say whether a binding or rule names this very host: a private address is dialled only then."""
        return host in self._hosts or any(rule.host == host for rule in self.rules)

    def _bound_at(self, destination: Destination) -> list[_Entry]:
        return [entry for entry in self._bound if _covers_destination(entry.rule, destination)]

    def _is_bound_elsewhere(self, host: str) -> bool:
        return any(entry.rule.scheme != "ssh" and covers_host(entry.rule.host, host) for entry in self._bound)

    def _decide_bound(self, bound: list[_Entry], to: Destination, head: RequestHead, target: Target) -> Permit:
        query_pairs(target.query or "")  # a credential must not hide in a parameter that others split otherwise
        found = [entry for entry in bound if entry.covers(head.method, target)]
        if len(found) > 1 and self._tokens:
            found = self._of_tokens(found, head)
        if len(found) > 1:
            found = _of_filled_slots(found, head)
        if not found:
            _refuse_unmatched(bound, to, head.method, target)
        binding = found[0].binding
        assert binding is not None
        return Permit(found[0].rule, binding, binding.slot.in_body or is_form(head.values("content-type")))

    def _of_tokens(self, found: list[_Entry], head: RequestHead) -> list[_Entry]:
        """The token whose stub stands in its slot; if none does, the bindings that are not of tokens."""
        held = [entry for entry in found if self._holds_token(entry.binding, head)]
        return held or [entry for entry in found if entry.binding and entry.binding.secret not in self._tokens] or found

    def _holds_token(self, binding: Binding | None, head: RequestHead) -> bool:
        stub = self._tokens.get(binding.secret) if binding is not None else None
        if binding is None or stub is None or binding.slot.in_body or not is_filled(binding.slot, head):
            return False
        return read(binding.slot, head, None) == stub

    def _decide_unbound(self, to: Destination, method: str, target: Target) -> Permit:
        elsewhere = self._is_bound_elsewhere(to.host)
        if elsewhere and to.scheme == "http":
            raise Refusal(
                "plaintext_refused",
                f"A secret is bound to {to.host} over https; nothing goes there over http.",
                fix=f"Use https://{to.host}.",
            )
        for entry in self._rules:
            if elsewhere and entry.rule.host != to.host:
                continue
            if _covers_destination(entry.rule, to) and entry.covers(method, target):
                return Permit(entry.rule)
        return _refuse_no_rule(self._rules, to, method, target)


def explain(policy: Policy, destination: Destination, method: str, path: str) -> Explanation:
    """Say what would happen to a request, why, and what to type to change it. Never raises `Refusal`."""
    head = RequestHead(method, path, ())
    try:
        permit = policy.decide(destination, head)
    except Refusal as refusal:
        return _explain_refusal(policy, destination, head, refusal)
    by = permit.binding or permit.rule
    secret = permit.binding.secret if permit.binding else ""
    reason = f"The secret {secret} goes with it." if secret else "It leaves as it is, without a secret."
    return Explanation(True, "allowed", reason, str(by), secret)


def _explain_refusal(policy: Policy, to: Destination, head: RequestHead, refusal: Refusal) -> Explanation:
    candidates: list[Binding | Rule] = [*policy.bindings, *policy.rules]
    if policy.is_bound(to):
        candidates = [one for one in policy.bindings if _covers_destination(one.rule, to)]
    closest, differs = _closest(candidates, to, head)
    return Explanation(
        False,
        refusal.code,
        refusal.reason,
        closest=str(closest) if closest else "",
        differs=differs,
        proposal=refusal.fix,
    )


def _closest(
    candidates: Iterable[Binding | Rule], to: Destination, head: RequestHead
) -> tuple[Binding | Rule | None, tuple[str, ...]]:
    """The candidate that fails in the fewest parts; one for another host is close only if nothing is closer."""
    measured = [(one, _differs(one, to, head)) for one in candidates]
    if not measured:
        return None, ()
    return min(measured, key=lambda pair: (len(pair[1]), "host" in pair[1]))


def _differs(one: Binding | Rule, to: Destination, head: RequestHead) -> tuple[str, ...]:
    rule = one.rule if isinstance(one, Binding) else one
    parts = (
        ("host", covers_host(rule.host, to.host)),
        ("scheme", rule.scheme == to.scheme),
        ("port", covers_port(rule, to.port)),
        ("method", covers_method(rule, head.method)),
        ("path", _covers_path(rule, head.target, both_readings=isinstance(one, Rule))),
    )
    return tuple(part for part, same in parts if not same)


def _covers_path(rule: Rule, path: str, *, both_readings: bool) -> bool:
    try:
        return PathPattern(rule.path).covers(parse_target(path), both_readings=both_readings)
    except Refusal:
        return False


# -- matching -------------------------------------------------------------------------------------------------------


def _covers_destination(rule: Rule, to: Destination) -> bool:
    return rule.scheme == to.scheme and covers_port(rule, to.port) and covers_host(rule.host, to.host)


def _of_filled_slots(found: list[_Entry], head: RequestHead) -> list[_Entry]:
    """Of bindings that all match, the one whose slot is filled: `x-api-key` or `authorization`, as the client chose.

    Where none is filled, one is taken only to say what is missing: for Basic that is a challenge (git asks so).
    """
    filled = [entry for entry in found if entry.binding is not None and is_filled(entry.binding.slot, head)]
    slots = {entry.binding.slot for entry in found if entry.binding is not None}
    if len(filled) > 1 or len(slots) < len(found):
        _refuse_ambiguous(found)
    return filled or sorted(found, key=lambda entry: entry.binding is None or entry.binding.slot.kind != "basic")


def _check_method(method: str) -> None:
    reason = NEVER_METHODS.get(method.upper())
    if reason is not None:
        raise Refusal("method_refused", f"{method.upper()} is never allowed: {reason}.", status=405)


def _check_host(destination: Destination, head: RequestHead) -> None:
    hosts = head.values("host")
    if not hosts or (len(hosts) == 1 and hosts[0] == destination.host and _is_default(destination)):
        return
    if len(hosts) > 1:
        raise Refusal("bad_request", "A request has one Host.", status=400)
    if names.parse_authority(hosts[0], DEFAULT_PORTS[destination.scheme]) != (destination.host, destination.port):
        reason = "The Host of the request is not the host that the connection goes to."
        raise Refusal("host_mismatch", reason, fix="Open a connection to that host.", status=421)


def _is_default(destination: Destination) -> bool:
    return destination.port == DEFAULT_PORTS[destination.scheme]


def _covers_ssh(entry: _Entry, user: str, operation: str, argument: str, target: Target) -> bool:
    rule = entry.rule
    if rule.user not in ("*", user) or not covers_method(rule, operation):
        return False
    if operation.startswith("git-"):
        return _pattern_of_repository(rule.path).covers(target, both_readings=False)
    if operation not in ("exec", "shell") or rule.command == "*":
        return rule.path == "/*"
    if operation == "shell" and not argument:
        return True  # the shell may be opened; its lines are asked about one by one
    from penstock.vault.ssh.commands import covers

    return covers(rule.command, argument)


def _repository(argument: str) -> Target:
    """`owner/app.git`, `/owner/app` and `/owner/app.git` are one repository."""
    return parse_target("/" + argument.removeprefix("/").removesuffix(".git"))


def _pattern_of_repository(path: str) -> PathPattern:
    return PathPattern(path.removesuffix(".git"))


# -- refusals -------------------------------------------------------------------------------------------------------


def _refuse_unmatched(bound: list[_Entry], to: Destination, method: str, target: Target) -> NoReturn:
    """A bound host, and no binding covers the request."""
    secret_names = ", ".join(sorted({entry.binding.secret for entry in bound if entry.binding}))
    if target.encoded_slash and any(entry.covers(method, _without_encoded_slash(target)) for entry in bound):
        reason = "This path can be read in more than one way: it has an encoded slash (%2f)."
        fix = f"If it is meant, a binding says so with %2f there: {_set_command(bound, _wish(to, method, target))}"
        raise Refusal("bad_path", reason, fix=fix, status=400)
    reason = f"{to.host} is bound to {secret_names}, and no binding covers {_shown(method)} {_shown(target.path)}."
    raise Refusal("no_binding", reason, fix=f"To allow it: {_set_command(bound, _wish(to, method, target))}")


def _without_encoded_slash(target: Target) -> Target:
    return Target(target.path.replace("%2F", "_"), target.query)


def _refuse_no_rule(rules: Sequence[_Entry], to: Destination, method: str, target: Target) -> NoReturn:
    closest, differs = _closest([entry.rule for entry in rules], to, RequestHead(method, target.path, ()))
    near = ""
    if closest is not None and "host" not in differs:
        near = f" The closest, `{closest}`, differs in {' and '.join(differs)}."
    reason = f"No rule allows {_shown(method)} {to.scheme}://{_authority(to)}{_shown(target.path)}.{near}"
    raise Refusal("no_rule", reason, fix=f"To allow it: --allow {shlex.quote(str(_wish(to, method, target)))}")


def _refuse_ambiguous(found: Sequence[_Entry]) -> NoReturn:
    texts = " and ".join(f"`{entry.binding}` of {entry.binding.secret}" for entry in found if entry.binding)
    raise Refusal(
        "ambiguous_binding",
        f"Several bindings match, and nobody can say which secret is meant: {texts}.",
        fix="Narrow their methods or paths so that one remains: penstock secrets set NAME --binding '...'.",
    )


def _refuse_ssh(to: Destination, wish: Rule, argument: str, bound: bool) -> NoReturn:
    if wish.methods[0] in ("exec", "shell") and argument and "'" not in argument and argument.isprintable():
        wish = msgspec.structs.replace(wish, command=argument)
    what = f"no binding covers {_shown(wish.methods[0])} as {_shown(wish.user)}"
    reason = f"{to.host} is bound, but {what}." if bound else f"No secret is bound to ssh://{to.host}:{to.port}."
    proposal = shlex.quote(str(Binding("", wish, Slot("ssh"))))
    raise Refusal("no_binding", reason, fix=f"To allow it: penstock secrets set NAME --binding {proposal}")


def _wish(to: Destination, method: str, target: Target) -> Rule:
    """The narrowest rule that would cover a request."""
    return Rule((method,), to.scheme, to.host, to.port, target.path)


def _set_command(bound: list[_Entry], rule: Rule) -> str:
    """A command to be pasted into a shell: what the client sent in it is quoted."""
    binding = bound[0].binding
    assert binding is not None
    proposal = Binding(binding.secret, rule, binding.slot)
    return f"penstock secrets set {binding.secret or 'NAME'} --binding {shlex.quote(str(proposal))}"


def _authority(to: Destination) -> str:
    return names.format_authority(to.host, to.port, DEFAULT_PORTS[to.scheme])


def _shown(text: str) -> str:
    """What the client sent, short and without anything that a terminal would obey."""
    printable = "".join(character if " " < character < "\x7f" else "?" for character in text[:200])
    return printable + ("..." if len(text) > 200 else "")
