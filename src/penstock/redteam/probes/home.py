"""Stealing from where the secret lives (threat model, section 4): other processes, files, the
authority, stubs.
"""

from __future__ import annotations

import datetime
import math
import time
from collections import Counter
from functools import partial
from pathlib import Path

from penstock.redteam.expect import (
    failed_with,
    refused,
    said,
    shortened,
    silent,
)
from penstock.redteam.messages import request
from penstock.redteam.outside import TRUST_STORE, Field, digest, hold
from penstock.redteam.probe import (
    API,
    Probe,
    Seen,
    Wire,
)
from penstock.redteam.probes.building import code, look, no_leak
from penstock.vault.api import Refusal

# -- processes and memory ---------------------------------------------------------------------------------------------

_PROCESSES = (
    code(
        "processes",
        "foreign",
        "look for processes of the machine",
        """
mine = {1}
for folder in glob.glob("/proc/[0-9]*"):
    try:
        line = b" ".join(open(folder + "/cmdline", "rb").read().split(bytes(1))[:3])[:200]
        words = (b"penstock", b"vault", b"pytest", b"dockerd", b"containerd", b"systemd", b"sshd")
        if any(word in line for word in words):
            print(folder, line[:80])
    except OSError:
        pass
""",
        silent,
    ),
    code(
        "processes",
        "first-environ",
        "read the environment of process 1",
        """
attempt(lambda: open("/proc/1/environ", "rb").read())
""",
        lambda seen: (
            ""
            if seen.back.text.startswith(("EACCES", "EPERM")) or _only_mark(seen)
            else f"it said {shortened(seen.back)}"
        ),
    ),
    code(
        "processes",
        "first-cmdline",
        "read the arguments of process 1 for paths of the machine",
        """
line = open("/proc/1/cmdline", "rb").read()
if b"/var/lib" in line or b"penstock" in line or b"--bind" in line:
    print(line)
""",
        silent,
    ),
    code(
        "processes",
        "first-memory",
        "read the memory of process 1",
        'attempt(lambda: open("/proc/1/mem", "rb").read(1))',
        failed_with("EACCES", "EPERM", "EIO"),
    ),
    code(
        "processes",
        "first-maps",
        "read its maps",
        'attempt(lambda: open("/proc/1/maps").read()[:40])',
        lambda seen: (
            ""
            if seen.back.text in ("EACCES", "EPERM", "done")
            or (seen.back.text.startswith("done") and len(seen.back.text) < 6)
            else f"it said {shortened(seen.back)}"
        ),
    ),
    code(
        "processes",
        "mounts",
        "look among the mounts for paths that tell of the machine's users",
        """
for line in open("/proc/self/mountinfo"):
    if any(word in line for word in ("secrets", "/root/", "vault/", ".ssh", ".aws", ".config")):
        print(line.strip())
""",
        silent,
    ),
    code(
        "processes",
        "own-environ",
        "look for anything but stubs in the own environment",
        """
for name, value in os.environ.items():
    if "PRIVATE KEY" in value or "canary" in value:
        print(name)
""",
        silent,
    ),
    look(
        "processes",
        "vault-environ",
        "the environment and the arguments of the vault's process",
        lambda field: _vault_environ(field),
    ),
    look(
        "memory",
        "vault-core",
        "how large a core dump of the vault may be",
        lambda field: _is_in(
            r"Max core file size        0                    0",
            field.of_vault("limits").decode(),
            "no core dump is allowed",
        ),
    ),
    look(
        "memory",
        "vault-files",
        "files that the vault has open which others could read",
        lambda field: _vault_files(field),
    ),
    look(
        "memory",
        "core-after-crash",
        "a core dump after the vault was killed by a fault",
        lambda field: _no_core(field),
        "dead",
    ),
)


def _only_mark(seen: Seen) -> bool:
    return "PENSTOCK" in seen.back.text.upper() and "canary" not in seen.back.text


def _is_in(wanted: str, text: str, words: str) -> str:
    hold(" ".join(wanted.split()) in " ".join(text.split()), f"it is not so that {words}")
    return words


def _vault_environ(field: Field) -> str:
    """Whoever is no root may not even look, for the vault makes itself unreadable to its own user."""
    try:
        environment = field.of_vault("environ")
    except PermissionError:
        return f"its environment may not be read; {no_leak(field, 'in its arguments', field.of_vault('cmdline'))}"
    return no_leak(field, "in its environment and arguments", environment + b"\0" + field.of_vault("cmdline"))


def _vault_files(field: Field) -> str:
    folder = field.stage.vault_folder
    loose = [str(path.name) for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077]
    hold(not loose, f"others may read {', '.join(loose)}")
    return f"{len(list(folder.rglob('*')))} files and folders, for nobody else"


def _no_core(field: Field) -> str:
    places = [
        field.stage.vault_folder,
        field.stage.folder,
        Path.cwd(),
        Path("/var/crash"),
        Path("/var/lib/systemd/coredump"),
    ]
    since = time.time() - 60
    found = [
        str(path)
        for place in places
        if place.is_dir()
        for path in place.glob("*core*")
        if path.is_file() and path.stat().st_mtime > since
    ]
    hold(not found, f"there is {', '.join(found)}")
    return "the vault was killed by SIGSEGV, and left none"


# -- files ------------------------------------------------------------------------------------------------------------

_FILES = (
    code(
        "files",
        "private-keys",
        "look for a private key anywhere",
        """
found = []
for root in ("/home", "/workspace", "/etc", "/run", "/tmp", "/var", "/opt", "/srv", "/dev/shm"):
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            try:
                small = os.path.isfile(path) and os.path.getsize(path) < 1 << 20
                if small and b"PRIVATE KEY-----" in open(path, "rb").read():
                    found.append(path)
            except OSError:
                pass
if found:
    print(found[:5])
""",
        silent,
    ),
    code(
        "files",
        "credentials",
        "look for credentials of the machine's users",
        """
known = ("~/.netrc", "~/.git-credentials", "~/.aws/credentials", "~/.config/gcloud", "~/.docker/config.json",
         "~/.npmrc", "~/.pypirc",
         "~/.ssh", "~/.kube/config", "/root", "/etc/penstock", "/var/lib/penstock", "~/.claude.json", "~/.codex")
found = [path for path in map(os.path.expanduser, known) if os.access(path, os.R_OK)]
if found:
    print(found)
""",
        silent,
    ),
    code(
        "files",
        "link-out",
        "a link out of the workspace",
        """
os.symlink("/proc/1/root/etc/shadow", "/workspace/link-" + os.environ["PROBE"])
attempt(lambda: open("/workspace/link-" + os.environ["PROBE"]).read()[:10])
""",
        failed_with("EACCES", "EPERM", "ENOENT"),
    ),
    code(
        "files",
        "placed",
        "change a file that the vault placed: the authority, git's configuration",
        """
for path in ("/etc/ssl/certs/ca-certificates.crt", "/etc/gitconfig", "/etc/ssh/ssh_known_hosts", "/etc/resolv.conf"):
    attempt(lambda: os.open(path, os.O_WRONLY))
    attempt(lambda: os.rename(path, path))  # to itself: no harm where it is not refused
""",
        failed_with("EROFS", "EACCES", "EPERM", "EBUSY", "ENOENT"),
    ),
    look(
        "files",
        "workspace",
        "what the sandboxes' files hold",
        lambda field: no_leak(field, "in a sandbox's file", b"\n".join(field.sandbox_files.values())),
    ),
)

# -- the authority ----------------------------------------------------------------------------------------------------

_AUTHORITY = (
    code(
        "authority",
        "verifies",
        "the bound host's certificate is signed by the session's own authority",
        """
import ssl
context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
raw = socket.create_connection(("127.0.0.1", 3128), 5)
raw.sendall(b"CONNECT api.bound.example:443 HTTP/1.1\\r\\nHost: api.bound.example:443\\r\\n\\r\\n")
raw.recv(4096)
with context.wrap_socket(raw, server_hostname="api.bound.example") as stream:
    print("verified", dict(pair[0] for pair in stream.getpeercert()["issuer"]).get("commonName", "")[:8])
""",
        said("verified"),
    ),
    look(
        "authority", "two-sessions", "two sessions have two authorities", lambda field: _two_authorities(field), "live"
    ),
    look("authority", "constraints", "what the authority may sign", lambda field: _constraints(field), "live"),
    look("authority", "host-store", "the machine's own trust store", lambda field: _host_store(field), "destroyed"),
    look("authority", "key", "the authority's private key, on any disk", lambda field: _no_private_key(field)),
)


def _two_authorities(field: Field) -> str:
    first, second = (place.opened.ca_pem for place in (field.agent, field.neighbour))
    hold(first != second, "they have the same authority")
    return "their certificates differ"


def _constraints(field: Field) -> str:
    from cryptography import x509

    certificate = x509.load_pem_x509_certificates(field.agent.opened.ca_pem.encode())[0]
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    hold(basic.critical, "its basic constraints are not critical")
    hold(basic.value.ca, "it is no authority")
    hold(basic.value.path_length == 0, "it may sign other authorities")
    named = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    permitted = {str(each.value) for each in named.value.permitted_subtrees or ()}
    hold(named.critical, "its names are not critical")
    hold(API in permitted, f"it is not constrained to the bound hosts: {sorted(permitted)}")
    hold(not any(name in ("", ".", "example", ".example") for name in permitted), f"it may sign {sorted(permitted)}")
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    hold(left < datetime.timedelta(days=2), f"it is valid for {left.days} days")
    return f"path length 0, {len(permitted)} names, {left.total_seconds() / 3600:.0f} hours"


def _host_store(field: Field) -> str:
    hold(digest(TRUST_STORE) == field.trust_store, "it was changed")
    return "unchanged"


def _no_private_key(field: Field) -> str:
    found = [name for name, data in field.files(field.stage.folder) if b"PRIVATE KEY-----" in data]
    hold(not found, f"there is one in {', '.join(found[:3])}")
    return "none, in what the vault and the sandboxes keep"


# -- stubs and secrets ------------------------------------------------------------------------------------------------


def _stubs_differ(field: Field) -> str:
    first, second = (place.opened.env["API_TOKEN"] for place in (field.agent, field.neighbour))
    same = sum(one == other for one, other in zip(first, second, strict=True))
    hold(first != second, "they are the same")
    hold(same < len(first) / 2, f"{same} of {len(first)} characters are the same")
    return f"{len(first) - same} of {len(first)} characters differ"


def _stub_chance(field: Field) -> str:
    letters = [character for character in field.agent.opened.env["API_TOKEN"] if character.isalnum()]
    bits = len(letters) * -sum(n / len(letters) * math.log2(n / len(letters)) for n in Counter(letters).values())
    hold(bits >= 128, f"{bits:.0f} bits")
    return f"about {bits:.0f} bits"


def _stub_length(field: Field) -> str:
    env = field.agent.opened.env
    wrong = [name for name, value in field.kit.secrets.items() if name in env and len(env[name]) != len(value)]
    hold(not wrong, f"not those of {', '.join(wrong)}")
    return f"all {len(env)}"


def _refused_secret(value: bytes, field: Field) -> str:
    return _refused_set(field, value, "GET https://api.example.com/* header:authorization")


def _refused_binding(binding: str, field: Field) -> str:
    return _refused_set(field, b"canary-weak-0123456789abcdef", binding)


def _refused_set(field: Field, value: bytes, binding: str) -> str:
    with field.secrets as kept:
        try:
            kept.set("WEAK", value, bindings=[binding])
        except Refusal as refusal:
            hold(value.decode("latin-1") not in str(refusal) or len(value) < 8, "the refusal tells the value")
            return f"refused: {refusal.code}"
        kept.delete("WEAK")
    hold(False, "it was taken")
    return ""


_STUBS = (
    look(
        "stubs", "differ", "the stubs of two sessions for the same secret", lambda field: _stubs_differ(field), "live"
    ),
    look("stubs", "chance", "how much of a stub is chance", lambda field: _stub_chance(field), "live"),
    look("stubs", "length", "stubs are as long as their secrets", lambda field: _stub_length(field), "live"),
    Probe(
        id="stubs.guess",
        row="stubs",
        tries="a guessed stub of the right form",
        expect=refused("stub_mismatch"),
        attack=Wire(
            send=(request(auth="Authorization: Bearer canary-0123456789ab+0123456789ab/0123456789ab&<0123456789ab"),)
        ),
    ),
    *(
        look(
            "weak-secrets",
            name,
            f"set {words} as a secret",
            partial(_refused_secret, value),
            "live",
        )
        for name, words, value in (
            ("one-letter", "one letter", b"a"),
            ("short", "seven letters", b"abcdefg"),
            ("repeated", "one letter, forty times", b"a" * 40),
            ("crlf", "a secret with a line break", b"canary-0123456789\r\nX-Evil: 1"),
            ("nul", "a secret with a NUL", b"canary-01234\x0056789ab"),
        )
    ),
    *(
        look(
            "wildcards",
            name,
            f"bind a secret to {binding.split(' ')[1]}",
            partial(_refused_binding, binding),
            "live",
        )
        for name, binding in (
            ("everything", "* https://*/* header:authorization"),
            ("suffix", "* https://*.com/* header:authorization"),
            ("second-level", "* https://*.co.uk/* header:authorization"),
            ("github", "* https://*.github.io/* header:authorization"),
            ("aws", "* https://*.s3.amazonaws.com/* header:authorization"),
            ("workers", "* https://*.workers.dev/* header:authorization"),
            ("plain-http", "* http://api.example.com/* header:authorization"),
            ("middle-star", "* https://api.*.example.com/* header:authorization"),
            ("host-header", "* https://api.example.com/* header:host"),
        )
    ),
)

PROBES: tuple[Probe, ...] = (*_PROCESSES, *_FILES, *_AUTHORITY, *_STUBS)
