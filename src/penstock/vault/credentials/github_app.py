"""`github-app`: an app's private key becomes installation tokens, each for an hour, for the repositories it may touch.

The app proves itself with a token that it signs (RS256, issued 60 seconds ago against clock drift, valid at most ten
minutes: docs.github.com, "Generating a JSON Web Token (JWT) for a GitHub App") and gets the installation's token for
that ("Generating an installation access token for a GitHub App"). `repositories` and `permissions` narrow it down to
less than the installation has. It is used as `Bearer`, or by git as the Basic password of the user `x-access-token`.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime

import msgspec

from penstock.vault.credentials.contract import Kind, Tools, bad_value
from penstock.vault.credentials.fields import https_url, read, within
from penstock.vault.credentials.jwt import Signer, signer
from penstock.vault.credentials.token_endpoint import json_object, token_bytes
from penstock.vault.credentials.tokens import LEEWAY, Granted, Tokens
from penstock.vault.values import Fetched, Refusal, Secret

BACKDATED = 60  # seconds, against clock drift
APP_TOKEN_LIFE = 9 * 60  # seconds after now; GitHub refuses more than ten minutes
API_VERSION = "2022-11-28"
_REPOSITORY = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")
_NAME = re.compile(r"[A-Za-z0-9._-]+")


class Fields(msgspec.Struct, frozen=True):
    """The fields of the JSON value.

    Args:
        app_id: the app's id, or its client id.
        private_key: the app's private key in PEM, as GitHub gave it.
        installation_id: which installation; or
        repository: `owner/name` of a repository in it, by which it is looked up.
        repositories: names (without owner) of the only repositories that the token may touch.
        permissions: what the token may do there, by GitHub's names: `{"contents": "write"}`.
        api_base: the API's address; `https://HOST/api/v3` for GitHub Enterprise Server.
        leeway: seconds before its end from which on a token is replaced.
    """

    app_id: int | str
    private_key: str
    installation_id: int = 0
    repository: str = ""
    repositories: tuple[str, ...] = ()
    permissions: dict[str, str] = {}
    api_base: str = "https://api.github.com"
    leeway: float = 5 * LEEWAY

    def __repr__(self) -> str:
        return "Fields(...)"


class GitHubApp:
    """An installation of an app, and the token that it has now."""

    kind = "github-app"

    def __init__(self, name: str, fields: Fields, key: Signer, tools: Tools) -> None:
        self._name = name
        self._fields = fields
        self._key = key
        self._tools = tools
        self._installation = fields.installation_id
        self._app_token = b""
        self._tokens = Tokens(name, self._obtain, tools.clock, fields.leeway)

    async def value(self) -> Secret:
        """Return an installation token that is valid now. Raises Refusal with what to change at GitHub."""
        return await self._tokens.current()

    async def rejected(self, seen: Secret) -> bool:
        """Ask for a new token, once for everyone who saw this one fail."""
        return await self._tokens.rejected(seen)

    def live(self) -> list[bytes]:
        """Return installation tokens, the last token of the app itself, and the lines of its key."""
        app = [self._app_token] if self._app_token else []
        return [*self._tokens.live(), *app, *self._key.lines]

    def shapes(self) -> Mapping[str, bytes]:
        """Return the shape of an installation token."""
        return {"": b"ghs_" + b"xX0x" * 9}

    async def _obtain(self) -> Granted:
        if not self._installation:
            self._installation = await self._look_up()
        wanted: dict[str, object] = {}
        if self._fields.repositories:
            wanted["repositories"] = list(self._fields.repositories)
        if self._fields.permissions:
            wanted["permissions"] = self._fields.permissions
        path = f"/app/installations/{self._installation}/access_tokens"
        fetched = await self._call("POST", path, json.dumps(wanted).encode() if wanted else b"")
        return self._granted(fetched)

    async def _look_up(self) -> int:
        fetched = await self._call("GET", f"/repos/{self._fields.repository}/installation")
        found = json_object(self._name, fetched).get("id")
        if not isinstance(found, int) or isinstance(found, bool) or found <= 0:
            raise self._refused("answered no installation", "Check api_base.")
        return found

    async def _call(self, method: str, path: str, body: bytes = b"") -> Fetched:
        now = int(self._tools.clock())
        claims = {"iat": now - BACKDATED, "exp": now + APP_TOKEN_LIFE, "iss": str(self._fields.app_id)}
        self._app_token = self._key.token(claims)
        headers = (
            ("authorization", f"Bearer {self._app_token.decode()}"),
            ("accept", "application/vnd.github+json"),
            ("x-github-api-version", API_VERSION),
            ("user-agent", "penstock"),
            *((("content-type", "application/json"),) if body else ()),
        )
        fetched = await self._tools.fetch(method, self._fields.api_base.rstrip("/") + path, headers, body)
        if fetched.status not in (200, 201):
            raise self._refused(f"answered {fetched.status}", _act(fetched.status), fetched.status)
        return fetched

    def _granted(self, fetched: Fetched) -> Granted:
        found = json_object(self._name, fetched)
        token = token_bytes(self._name, found.get("token"))
        ends = found.get("expires_at")
        try:
            at = datetime.fromisoformat(ends).timestamp() if isinstance(ends, str) else None
        except ValueError:
            at = None
        return Granted(token, None if at is None else at - self._tools.clock())

    def _refused(self, what: str, fix: str, status: int = 0) -> Refusal:
        code = "token_unavailable" if status >= 500 or status == 429 else "token_refused"
        reason = f"No token for the secret {self._name!r}: GitHub {what}."
        return Refusal(code, reason, fix=fix, status=502)


def _act(status: int) -> str:
    if status == 401:
        return "Check that app_id and private_key belong together, and that this machine's clock is right."
    if status == 404:
        return "Install the app there, or correct installation_id, repository or api_base."
    if status == 403:
        return "The installation is suspended, or GitHub limits the rate: look at the app's page."
    if status == 422:
        return "Ask only for repositories and permissions that the installation has."
    return "Wait, and try again." if status >= 500 or status == 429 else "Check api_base."


def make(name: str, value: bytes, version: int, options: Mapping[str, str], tools: Tools) -> GitHubApp:
    """Read and check the value. Raises Refusal: `bad_secret`."""
    fields = read(Fields, name, value, options, secret=("private_key",))
    https_url(name, "api_base", fields.api_base)
    within(name, "leeway", fields.leeway, 0, 1800)
    _check(name, fields)
    return GitHubApp(name, fields, signer(name, "RS256", fields.private_key), tools)


def _check(name: str, fields: Fields) -> None:
    if bool(fields.installation_id) == bool(fields.repository):
        raise bad_value(name, "it needs either 'installation_id' or 'repository'")
    if fields.installation_id < 0 or not re.fullmatch(r"[A-Za-z0-9.]+", str(fields.app_id)):
        raise bad_value(name, "the field 'app_id' or 'installation_id' is no id")
    if fields.repository and not _REPOSITORY.fullmatch(fields.repository):
        raise bad_value(name, "the field 'repository' is not of the form owner/name")
    if not all(_NAME.fullmatch(repository) for repository in fields.repositories):
        raise bad_value(name, "the field 'repositories' holds names without their owner")
    if not all(access in ("read", "write", "admin") for access in fields.permissions.values()):
        raise bad_value(name, "the field 'permissions' says read, write or admin for each")


KIND = Kind("github-app", make, Fields.__struct_fields__, ("header", "basic"))
