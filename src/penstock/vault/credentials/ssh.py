"""`ssh-key` and `ssh-password`: what the vault logs in with at an SSH server. The agent's SSH ends at the vault.

Only values live here: the terminator (`penstock.vault.ssh`) uses them. The key is in OpenSSH's or PEM form without a
passphrase, for nobody is there to type it; the user's name at the server belongs to the rule, not to the secret.
"""

from collections.abc import Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from penstock.vault.credentials.contract import Kind, Tools, bad_value
from penstock.vault.credentials.fields import MAX_VALUE, known_or_refuse, plain
from penstock.vault.credentials.jwt import key_lines
from penstock.vault.values import Secret


class SshSecret:
    """A private key or a password, as stored."""

    def __init__(self, kind: str, secret: Secret, hidden: list[bytes]) -> None:
        self._kind = kind
        self._secret = secret
        self._hidden = hidden

    @property
    def kind(self) -> str:
        """`ssh-key` or `ssh-password`."""
        return self._kind

    async def value(self) -> Secret:
        """Return the stored value: the text of the key, or the password."""
        return self._secret

    async def rejected(self, seen: Secret) -> bool:
        """Return False: nobody but a human can make a new one."""
        return False

    def live(self) -> list[bytes]:
        """Return the password, or the lines of the key."""
        return self._hidden

    def shapes(self) -> Mapping[str, bytes]:
        """Return a password's shape; an agent needs no stub of a key, for the vault knows it by its session."""
        return {"": self._secret.value} if self._kind == "ssh-password" else {}


def make_key(name: str, value: bytes, version: int, options: Mapping[str, str], tools: Tools) -> SshSecret:
    """Check that the value is a private key without a passphrase. Raises Refusal: `bad_secret`."""
    _check_options(name, options)
    if len(value) > MAX_VALUE:
        raise bad_value(name, f"it has more than {MAX_VALUE} bytes")
    load = load_ssh_private_key if b"BEGIN OPENSSH PRIVATE KEY" in value else load_pem_private_key
    try:
        load(value, password=None)
        text = value.decode("ascii")
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        locked = isinstance(error, TypeError) or b"ENCRYPTED" in value or "password" in str(error).lower()
        fix = "Remove the passphrase of a copy first: ssh-keygen -p -N '' -f COPY" if locked else ""
        what = "the key has a passphrase" if locked else "it is no private key in OpenSSH's form or PEM"
        raise bad_value(name, what, fix) from None
    return SshSecret("ssh-key", Secret(name, value, version), key_lines(text))


def make_password(name: str, value: bytes, version: int, options: Mapping[str, str], tools: Tools) -> SshSecret:
    """Check the password. Raises Refusal at control characters, or where it is too short to be scrubbed."""
    _check_options(name, options)
    secret = Secret(name, plain(name, value), version)
    return SshSecret("ssh-password", secret, [secret.value])


OPTIONS = ("known_hosts", "host_key", "legacy")
"""Settings of both kinds: how the upstream is known (lines as OpenSSH's known_hosts has them, or one public key), and
`yes` for devices that know no better than SHA-1 and CBC."""


def _check_options(name: str, options: Mapping[str, str]) -> None:
    """Check the settings when the secret is set, for then somebody is there to mend them."""
    for option, value in options.items():
        known_or_refuse(name, option, OPTIONS, "option")
        if option == "legacy" and value not in ("yes", "no"):
            raise bad_value(name, "the option 'legacy' is neither yes nor no")
        if option != "legacy":
            _check_lines(name, option, value)


def _check_lines(name: str, option: str, text: str) -> None:
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines or (option == "host_key" and (len(lines) != 1 or not lines[0][0].startswith(_KEY_TYPES))):
        raise bad_value(name, f"the option {option!r} is not what ssh-keyscan says", "See: ssh-keyscan HOST")
    for words in lines:
        kinds = [index for index, word in enumerate(words) if word.startswith(_KEY_TYPES)]
        if not kinds or len(words) <= kinds[0] + 1:
            raise bad_value(name, f"a line of the option {option!r} holds no public key", "See: ssh-keyscan HOST")


_KEY_TYPES = ("ssh-", "ecdsa-", "sk-")
KEY_KIND = Kind("ssh-key", make_key, (), ("ssh",))
PASSWORD_KIND = Kind("ssh-password", make_password, (), ("ssh",))
