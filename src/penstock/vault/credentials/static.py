"""`static`: bytes that stand in a slot as they are. API keys, passwords, personal access tokens.

The stored value is the secret itself. The slot of the binding says where it stands: a header, the user or password of
Basic, a query value, a JSON pointer, a form field, a cookie.
"""

from collections.abc import Mapping

from penstock.vault.credentials.contract import Kind, Tools
from penstock.vault.credentials.fields import known_or_refuse, plain
from penstock.vault.values import Secret


class Static:
    """A value that somebody stored."""

    kind = "static"

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    async def value(self) -> Secret:
        """Return the stored value."""
        return self._secret

    async def rejected(self, seen: Secret) -> bool:
        """Return False: nobody but a human can make a new one."""
        return False

    def live(self) -> list[bytes]:
        """Return the value."""
        return [self._secret.value]

    def shapes(self) -> Mapping[str, bytes]:
        """Return the value itself: a stub is minted in its shape."""
        return {"": self._secret.value}


def make(name: str, value: bytes, version: int, options: Mapping[str, str], tools: Tools) -> Static:
    """Check the value. Raises Refusal at control characters, or where it is too short to be scrubbed."""
    for option in options:
        known_or_refuse(name, option, (), "option")
    return Static(Secret(name, plain(name, value), version))


SLOTS = ("header", "basic", "query", "json", "form", "cookie")
KIND = Kind("static", make, (), SLOTS)
