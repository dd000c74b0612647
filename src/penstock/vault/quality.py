"""What cannot be guarded is not taken: values that a scrubber could not find, names that would steer the sandbox.

The scrubber replaces a secret wherever it occurs in a response. A short value, or one that ordinary traffic contains
(`password`, `00000000`), would be replaced where it is no secret, and an attacker would see the replacement where they
put the guess: both corrupt. So such a value is refused when it is set. The estimate of entropy is crude on purpose: it
finds repetition and sequences, and does not judge passwords.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from penstock.vault.values import Refusal

MIN_BYTES = 8
MAX_BYTES = 64 * 1024
MIN_BITS = 16.0

ORDINARY = frozenset(
    b"password username authorization content-type content-length application/json text/plain text/html user-agent "
    b"undefined localhost changeme passw0rd password1 password123 password1234 qwertyuiop qwertzuiop "
    b"administrator anonymous".split()
)
"""Words that responses hold for other reasons, or that everybody tries first."""

_RESERVED_NAMES = """
BASHOPTS BASH_ENV BROWSER CDPATH CLASSPATH EDITOR ENV GCONV_PATH GIT_ASKPASS GIT_DIR GIT_EDITOR GIT_EXEC_PATH
GIT_EXTERNAL_DIFF GIT_PAGER GIT_PROXY_COMMAND GIT_SEQUENCE_EDITOR GIT_SSH GIT_SSH_COMMAND GIT_TEMPLATE_DIR
GIT_WORK_TREE GLOBIGNORE GOFLAGS GONOSUMDB GOPRIVATE GOPROXY HOME HOSTALIASES IFS JAVA_HOME JAVA_TOOL_OPTIONS
JDK_JAVA_OPTIONS LANG LANGUAGE LOCALDOMAIN LOGNAME NLSPATH NODE_OPTIONS NODE_PATH NODE_REPL_EXTERNAL_MODULE OLDPWD
OPENSSL_CONF OPENSSL_ENGINES OPENSSL_MODULES PAGER PATH PERL5DB PERL5LIB PERL5OPT PIP_CERT PIP_CONFIG_FILE
PIP_INDEX_URL PROMPT_COMMAND PS4 PWD PYTHONBREAKPOINT PYTHONEXECUTABLE PYTHONHOME PYTHONINSPECT PYTHONPATH
PYTHONPLATLIBDIR PYTHONPYCACHEPREFIX PYTHONSTARTUP PYTHONUSERBASE PYTHONWARNINGS REQUESTS_CA_BUNDLE RESOLV_HOST_CONF
RES_OPTIONS RUBYLIB RUBYOPT SHELL SHELLOPTS SSH_ASKPASS SSH_AUTH_SOCK SSLKEYLOGFILE SSL_CERT_DIR SSL_CERT_FILE
SUDO_ASKPASS TEMP TERM TMP TMPDIR TZ USER VISUAL _JAVA_OPTIONS
"""
RESERVED = frozenset(_RESERVED_NAMES.split())
"""Names that a system, a shell, an interpreter or a TLS library obeys: a stub in one would break or steer them."""

_RESERVED_SHAPE = re.compile(
    r"LD_.*|DYLD_.*|LC_.*|XDG_.*|.*_PROXY|.*_CA_.*|.*_CA_?(BUNDLE|CERTS?|FILE|PATH|INFO)?|.*_CAINFO|.*_CAPATH"
    r"|NODE_(EXTRA|TLS|USE|DEBUG)_.*|GIT_(CONFIG|SSL|TRACE)(_.*)?|NPM_CONFIG_.*|BASH_FUNC_.*|MALLOC_.*|GLIBC_.*"
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_LINE_SLOTS = ("header:", "basic:", "cookie:", "query:", "bearer:")


def check_value(value: bytes) -> None:
    """Refuse a value that cannot be told from ordinary text, or that is larger than a credential.

    Raises:
        Refusal: `secret_too_short`, `secret_too_long`.
    """
    if len(value) > MAX_BYTES:
        raise Refusal("secret_too_long", f"A secret has {MAX_BYTES} bytes at most.", status=400)
    why = _weakness(value)
    if why:
        raise Refusal(
            "secret_too_short",
            f"The value {why}: it could not be told from ordinary text in a response.",
            fix="Make a longer, random credential where it comes from.",
            status=400,
        )


def bits(value: bytes) -> float:
    """Return a crude measure of how much a value says: the lesser of its bytes' entropy and that of their steps."""
    steps = [after - before for before, after in pairwise(value)]
    return min(_entropy(Counter(value)), _entropy(Counter(steps)))


def check_env(name: str) -> None:
    """Refuse a name that is no name of a variable, or that steers programs.

    Raises:
        Refusal: `bad_env_name`.
    """
    if not _IDENTIFIER.fullmatch(name):
        fix = "Use letters, digits and '_', not beginning with a digit."
        raise Refusal("bad_env_name", "That is no name of an environment variable.", fix=fix, status=400)
    if name.upper() in RESERVED or _RESERVED_SHAPE.fullmatch(name.upper()):
        fix = "Use a name of your own, such as SERVICE_TOKEN."
        raise Refusal(
            "bad_env_name", f"{name} steers programs in the sandbox; no secret may set it.", fix=fix, status=400
        )


def check_lines(value: bytes, bindings: Sequence[str]) -> None:
    """Refuse line breaks and NUL in a value that is bound to a place in the head of a request.

    Raises:
        Refusal: `secret_has_line_break`.
    """
    slots = [word for binding in bindings for word in binding.split()[-1:]]
    if any(slot.startswith(_LINE_SLOTS) for slot in slots) and re.search(rb"[\r\n\0]", value):
        raise Refusal(
            "secret_has_line_break",
            "The value has a line break (or NUL), which would end the header that it is bound to.",
            fix="Set it without one: printf %s VALUE instead of echo VALUE.",
            status=400,
        )


def _weakness(value: bytes) -> str:
    if len(value) < MIN_BYTES:
        return f"is shorter than {MIN_BYTES} bytes"
    if value.strip().lower() in ORDINARY:
        return "is an ordinary word"
    if bits(value) < MIN_BITS:
        return "repeats itself, or is a sequence"
    return ""


def _entropy(counted: Counter[int]) -> float:
    """Shannon's entropy of the whole, in bits: that of a symbol times their number."""
    total = counted.total()
    return -sum(count * math.log2(count / total) for count in counted.values()) if total else 0.0
