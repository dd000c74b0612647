"""The rows of the threat model: what an attacker inside a sandbox tries in order to get a secret's bytes, or to send it
elsewhere than to where it is bound. Each row has probes, or says who holds it instead.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Row(NamedTuple):
    """One row. `instead`: why no probe of this command tries it, and what does."""

    section: str
    attack: str
    defence: str
    instead: str = ""


REFLECTED = "Getting the secret reflected"
DESTINATION = "Confusing the destination"
AROUND = "Going around the proxy"
AT_HOME = "Stealing from where the secret lives"
SECTIONS = (REFLECTED, DESTINATION, AROUND, AT_HOME)

THREATS: Mapping[str, Row] = {
    # -- reflected ----------------------------------------------------------------------------------------------------
    "echo": Row(
        REFLECTED, "a bound host echoes the request: debug pages, OPTIONS, TRACE",
        "responses are scrubbed, in every encoding; TRACE is refused",
    ),
    "split": Row(
        REFLECTED, "the echo is split over chunks, events or parts, or compressed",
        "a scrubber that streams, and decodes first; Range does not leave",
    ),
    "partial": Row(
        REFLECTED, "an endpoint returns a piece or a hash of the token",
        "cannot be scrubbed: a binding names paths that do not reflect",
    ),
    "fail-open": Row(
        REFLECTED, "the scrubber cannot read the response", "the connection is cut",
    ),
    "slots": Row(
        REFLECTED, "the secret in errors, headers, trailers, the reason phrase, 1xx",
        "each of them is scrubbed",
    ),
    "tokens": Row(
        REFLECTED, "a login endpoint returns a new real token", "it is kept in the vault, and a stub goes down",
    ),
    "content": Row(
        REFLECTED, "the stub is uploaded as content, to be read back as the secret",
        "only the named slot is ever exchanged",
    ),
    "headers": Row(
        REFLECTED, "the stub in other headers, cookies, the path or the query", "only the named slot is ever exchanged",
    ),
    # -- destination --------------------------------------------------------------------------------------------------
    "fronting": Row(
        DESTINATION, "CONNECT, SNI and Host name different hosts", "all three must agree, or nothing is sent",
    ),
    "pipeline": Row(DESTINATION, "a second request on the tunnel names another host", "each request is checked"),
    "coalescing": Row(DESTINATION, "HTTP/2: :authority is not the SNI, or differs from host", "each stream is checked"),
    "plaintext": Row(DESTINATION, "plain HTTP to a bound host", "never: a secret goes over TLS"),
    "names": Row(
        DESTINATION, "names that two programs read differently", "one strict spelling; everything else is refused",
    ),
    "addresses": Row(
        DESTINATION, "addresses in odd forms, private and metadata addresses",
        "strict forms; no address but a global one, unless a rule names it",
    ),
    "wildcards": Row(DESTINATION, "a wildcard that strangers own names under", "refused when it is set"),
    "redirects": Row(DESTINATION, "the bound host redirects to the attacker", "the vault follows nothing"),
    "resolver": Row(
        DESTINATION, "names that resolve to this machine; the sandbox's own hosts file",
        "the vault resolves, outside; all answers are checked, a checked one is dialled",
    ),
    "upstream-tls": Row(DESTINATION, "an upstream with another certificate", "always verified"),
    "paths": Row(DESTINATION, "paths that two programs read differently", "refused, not mended"),
    "methods": Row(DESTINATION, "method overrides", "they do not leave"),
    "smuggling": Row(
        DESTINATION, "request smuggling", "one strict parse; what leaves is built anew from it",
    ),
    "hop-by-hop": Row(DESTINATION, "`Connection` names end-to-end headers", "those stay"),
    "forwarding": Row(DESTINATION, "headers by which proxies tell of hosts and paths", "they do not leave"),
    "tunnels": Row(DESTINATION, "CONNECT to other ports, inside a tunnel, SOCKS", "refused"),
    "not-tls": Row(DESTINATION, "other bytes than TLS behind CONNECT", "refused, or judged as what they are"),
    "hello": Row(
        DESTINATION, "ECH, no SNI, odd SNI, old TLS, many names", "read before a certificate is made; refused",
    ),
    "websocket": Row(DESTINATION, "a WebSocket after the handshake", "bound like a request; frames are scrubbed"),
    "http2": Row(DESTINATION, "floods and malformed frames of HTTP/2", "strict; capped"),
    # -- around -------------------------------------------------------------------------------------------------------
    "sockets": Row(AROUND, "sockets that ignore the proxy", "there is no way but the vault's"),
    "ipv6": Row(AROUND, "IPv6", "no address, no route"),
    "families": Row(AROUND, "UDP, ICMP, raw, packet, VSOCK and other sockets", "no interface; refused by seccomp"),
    "dns": Row(AROUND, "DNS as a tunnel", "the resolver answers permitted names, and asks nobody"),
    "metadata": Row(AROUND, "the clouds' metadata services", "no route; refused by the vault"),
    "host-services": Row(AROUND, "services of the host on loopback", "a network namespace of its own"),
    "unix-sockets": Row(AROUND, "abstract sockets, D-Bus, docker.sock, agents of keys", "none is there"),
    "control": Row(AROUND, "the vault's control socket, and the vault itself", "nothing of it lies inside"),
    "other-session": Row(AROUND, "another session's stub, socket or authority", "a session is known by its socket"),
    "kernel": Row(
        AROUND, "namespaces, mounts, cgroups, the kernel's dangerous calls",
        "no capability; seccomp; read-only /proc/sys and system",
    ),
    "survivor": Row(AROUND, "a process that outlives its session", "killed with its namespace"),
    "vault-dead": Row(AROUND, "the vault dies", "the network is gone; nothing falls back"),
    "exfiltration": Row(AROUND, "an upload to a host that is permitted for reading", "methods are part of a rule"),
    "foreign": Row(
        AROUND, "a credential of the attacker's to a bound host",
        "each known carrier is stripped; without the stub it is refused",
    ),
    "model": Row(
        AROUND, "the model's provider as a channel", "budgets, the log",
        instead="the model may be told anything that the agent knows; no secret is among it",
    ),
    # -- at home ------------------------------------------------------------------------------------------------------
    "processes": Row(
        AT_HOME, "/proc of the vault and of the launcher",
        "a pid namespace of its own; nothing in argv, environ",
    ),
    "memory": Row(AT_HOME, "ptrace, other processes' memory, core dumps", "seccomp; no dumps; not dumpable"),
    "files": Row(AT_HOME, "links out of the workspace, files that somebody outside would read", "data flows in only"),
    "authority": Row(
        AT_HOME, "the session's CA key; a CA that is trusted elsewhere",
        "in the vault's memory; one a session; constrained to the bound hosts",
    ),
    "stubs": Row(AT_HOME, "guessing a stub", "random, another one each session"),
    "weak-secrets": Row(AT_HOME, "a short secret; one with line breaks", "refused when it is set"),
    "store": Row(AT_HOME, "the database is copied or edited", "sealed; rows cannot be exchanged"),
    "traces": Row(AT_HOME, "logs, audit, errors, the process table, files", "the canary is looked for in all of them"),
    "alarm": Row(AT_HOME, "a stub in the wrong place goes unnoticed", "an alarm; the session freezes if so set"),
    "git": Row(
        AT_HOME, "git: another repository or branch, Basic, redirects",
        "repository and branch are parts of a binding",
    ),
    "ssh": Row(AT_HOME, "SSH: another command, user or host; forwarding", "the vault ends SSH and checks each"),
    "signatures": Row(AT_HOME, "signatures with stub keys", "verified in shape, dropped, signed anew"),
    "flood": Row(AT_HOME, "floods of names, slow heads, large heads, bombs", "caps"),
    "revocation": Row(AT_HOME, "a stream goes on after its secret was revoked", "it is cut"),
    "after": Row(AT_HOME, "stubs that are used after the session's end", "they stand for nothing"),
    "warm": Row(
        AT_HOME, "a warm sandbox that had another identity", "identity comes when it is claimed; one session each",
        instead="tests of the local driver: a sandbox is claimed once",
    ),
    "api": Row(
        AT_HOME, "the API: secrets, other tenants' rows, paths of files, CSRF, policy by an agent's token",
        "values never come out; an owner on every row; agents cannot touch bindings",
        instead="tests of the API: every route, as nobody, as another owner and as an agent",
    ),
    "terminal": Row(
        AT_HOME, "escape sequences for the terminal of whoever attaches", "filtered",
        instead="tests of `penstock attach` and of its filter",
    ),
    "approvals": Row(
        AT_HOME, "a flood of approvals", "capped; a no is remembered",
        instead="unit tests of approvals, and of questions in vault/session.py",
    ),
    "cluster": Row(
        AT_HOME, "image layers, pod specifications, service accounts", "none of these on one machine",
        instead="there is no driver for Kubernetes yet",
    ),
}  # fmt: skip
"""Every row, by the word that probes name it with."""
