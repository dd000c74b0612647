"""Kinds that obtain tokens: once for all who wait, rotated durably, refused in words that help and never leak."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from google.auth import crypt as google_crypt

from penstock.vault.credentials import registry
from penstock.vault.credentials.contract import Credential, Learner, Tools, Turn
from penstock.vault.credentials.tokens import HOLD
from penstock.vault.values import Fetched, Headers, Refusal

START = 1_700_000_000.0
REFRESH = {
    "client_id": "client",
    "client_secret": "fake-client-secret",
    "refresh_token": "fake-refresh-token-0",
    "token_url": "https://auth.example.com/token",
}


class World:
    """A clock that a test moves, a token service that it scripts, a store that it reads."""

    def __init__(self, *answers: tuple[int, object]) -> None:
        self.now = START
        self.answers = list(answers)
        self.calls: list[tuple[str, str, dict[str, str], bytes]] = []
        self.kept: list[bytes] = []
        self.events: list[str] = []
        self.gate: asyncio.Event | None = None
        self.keep_fails: Exception | None = None
        self.stored = b""
        self.lock = asyncio.Lock()

    async def fetch(self, method: str, url: str, headers: Headers = (), body: bytes = b"") -> Fetched:
        self.calls.append((method, url, dict(headers), body))
        self.events.append("fetch")
        if self.gate:
            await self.gate.wait()
        await asyncio.sleep(0)
        status, answer = self.answers.pop(0)
        if isinstance(answer, Refusal):
            raise answer
        return Fetched(status, (), answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    async def keep(self, value: bytes) -> None:
        self.events.append("keep")
        await asyncio.sleep(0)
        if self.keep_fails:
            raise self.keep_fails
        self.kept.append(value)

    @property
    def value(self) -> bytes | None:
        """What the store has: what was kept last, or what another vault has stored."""
        return self.stored or (self.kept[-1] if self.kept else None)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        async with self.lock:
            yield self

    @property
    def tools(self) -> Tools:
        return Tools(fetch=self.fetch, clock=lambda: self.now, random=lambda size: b"\x07" * size, turn=self.turn)

    def make(self, kind: str, fields: dict[str, Any], **options: str) -> Credential:
        return registry.make(kind, "login", json.dumps(fields).encode(), options=options, tools=self.tools)

    def form(self, call: int = -1) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.calls[call][3].decode()).items()}


def token(number: int, **more: object) -> tuple[int, object]:
    return 200, {"access_token": f"fake-access-token-{number}", "token_type": "Bearer", "expires_in": 3600, **more}


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(body())


async def refusal_of(waiting: Awaitable[object]) -> Refusal:
    with pytest.raises(Refusal) as refused:
        await waiting
    return refused.value


# -- oauth-refresh ----------------------------------------------------------------------------------------------------


def test_one_refresh_serves_all_who_wait_and_lasts_until_the_leeway() -> None:
    world = World(token(1), token(2))

    async def body() -> None:
        login = world.make("oauth-refresh", REFRESH)
        found = await asyncio.gather(*(login.value() for _ in range(100)))
        assert {one.value for one in found} == {b"fake-access-token-1"}
        assert len(world.calls) == 1
        world.now += 3600 - 61
        assert (await login.value()).version == 1
        world.now += 2
        assert (await login.value()).value == b"fake-access-token-2"
        assert b"fake-access-token-1" in login.live()

    run(body)
    assert world.form() == {"grant_type": "refresh_token", "refresh_token": "fake-refresh-token-0"}
    expected = "Basic " + base64.b64encode(b"client:fake-client-secret").decode()
    assert world.calls[0][2]["authorization"] == expected


def test_a_request_that_is_cancelled_does_not_cancel_the_refresh() -> None:
    world = World(token(1, refresh_token="fake-refresh-token-1"))

    async def body() -> None:
        world.gate = asyncio.Event()
        login = world.make("oauth-refresh", REFRESH)
        first, second = asyncio.ensure_future(login.value()), asyncio.ensure_future(login.value())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        world.gate.set()
        assert (await second).value == b"fake-access-token-1"
        assert first.cancelled()

    run(body)
    assert len(world.kept) == 1


def test_a_refresh_for_which_nobody_waits_any_more_is_still_heard_to_its_end() -> None:
    world = World(token(1, refresh_token="fake-refresh-token-1"))

    async def body() -> None:
        world.gate = asyncio.Event()
        login = world.make("oauth-refresh", REFRESH)
        only = asyncio.ensure_future(login.value())
        await asyncio.sleep(0)
        only.cancel()
        world.gate.set()
        for _ in range(10):
            await asyncio.sleep(0)

    run(body)
    assert json.loads(world.kept[0])["refresh_token"] == "fake-refresh-token-1"


def test_many_401s_make_one_refresh_and_everyone_tries_once_more() -> None:
    world = World(token(1), token(2))

    async def body() -> None:
        login = world.make("oauth-refresh", REFRESH)
        seen = await login.value()
        assert await asyncio.gather(*(login.rejected(seen) for _ in range(50))) == [True] * 50
        assert len(world.calls) == 2
        assert await login.rejected(seen)  # late: its 401 was for the old one
        assert len(world.calls) == 2
        newer = await login.value()
        assert newer.value == b"fake-access-token-2"
        assert not await login.rejected(newer)  # the token is not what is wrong
        assert len(world.calls) == 2

    run(body)


def test_after_a_while_a_401_is_believed_again() -> None:
    world = World(token(1), token(2), token(3))

    async def body() -> None:
        login = world.make("oauth-refresh", REFRESH)
        assert await login.rejected(await login.value())
        world.now += HOLD + 1
        assert await login.rejected(await login.value())

    run(body)
    assert len(world.calls) == 3


def test_a_rotated_refresh_token_is_stored_before_anything_of_the_answer_is_used() -> None:
    world = World(token(1, refresh_token="fake-refresh-token-1"), token(2))

    async def body() -> None:
        login = world.make("oauth-refresh", REFRESH)
        await login.value()
        world.events.append("used")
        assert world.events == ["fetch", "keep", "used"]
        pair = {"refresh_token": "fake-refresh-token-1", "access_token": "fake-access-token-1"}
        assert json.loads(world.kept[0]) == {**REFRESH, **pair, "expires_in": 3600, "issued_at": START}
        world.now += 3600
        await login.value()
        assert world.form()["refresh_token"] == "fake-refresh-token-1"
        assert {b"fake-refresh-token-0", b"fake-refresh-token-1", b"fake-client-secret"} <= set(login.live())

    run(body)


def test_after_kill_9_the_stored_value_goes_on_where_the_killed_process_was() -> None:
    world = World(token(1, refresh_token="fake-refresh-token-1"), token(2))

    async def body() -> None:
        await world.make("oauth-refresh", REFRESH, leeway="30").value()
        again = registry.make("oauth-refresh", "login", world.kept[0], options={"leeway": "30"}, tools=world.tools)
        world.now += 3600 - 31
        assert (await again.value()).value == b"fake-access-token-1", "still good, so nothing is refreshed"
        world.now += 2
        assert (await again.value()).value == b"fake-access-token-2"
        assert world.form()["refresh_token"] == "fake-refresh-token-1"

    run(body)


# -- several vaults over one store ------------------------------------------------------------------------------------


def renewed(number: int, at: float = START, **more: object) -> bytes:
    """What another vault stores after a refresh."""
    pair = {"refresh_token": f"fake-refresh-token-{number}", "access_token": f"fake-access-token-{number}"}
    return json.dumps({**REFRESH, **pair, "expires_in": 3600, "issued_at": at, **more}).encode()


def test_whose_turn_comes_second_uses_what_the_first_was_given() -> None:
    world = World(token(1, refresh_token="fake-refresh-token-1"))

    async def body() -> None:
        vaults = [world.make("oauth-refresh", REFRESH) for _ in range(3)]
        found = await asyncio.gather(*(vault.value() for vault in vaults))
        assert {each.value for each in found} == {b"fake-access-token-1"}
        assert len(world.calls) == len(world.kept) == 1
        assert all({b"fake-access-token-1", b"fake-refresh-token-1"} <= set(vault.live()) for vault in vaults)

    run(body)


def test_a_401_is_answered_with_what_another_vault_was_given_since() -> None:
    world = World(token(1, refresh_token="fake-refresh-token-1"), token(3))

    async def body() -> None:
        login = world.make("oauth-refresh", REFRESH)
        seen = await login.value()
        world.stored = renewed(2)
        assert await login.rejected(seen)
        newer = await login.value()
        assert newer.value == b"fake-access-token-2"
        assert len(world.calls) == 1
        world.now += HOLD + 1
        assert await login.rejected(newer), "that one is no good, either: now it is refreshed"
        assert world.form()["refresh_token"] == "fake-refresh-token-2"
        assert (await login.value()).value == b"fake-access-token-3"

    run(body)


def test_what_another_vault_stored_is_used_only_as_long_as_it_is_good() -> None:
    world = World(token(1, refresh_token="fake-refresh-token-1"), token(3))

    async def body() -> None:
        login = world.make("oauth-refresh", REFRESH)
        await login.value()
        world.now += 7200
        world.stored = renewed(2, at=START + 3600)
        assert (await login.value()).value == b"fake-access-token-3"
        assert world.form()["refresh_token"] == "fake-refresh-token-2", "the old one is spent"

    run(body)


def test_a_login_that_another_vault_renews_is_learned_and_another_login_is_not() -> None:
    world = World(token(1))

    async def body() -> None:
        login = world.make("oauth-refresh", REFRESH)
        assert isinstance(login, Learner)
        await login.value()
        assert login.learn(json.dumps(REFRESH).encode()), "nothing new"
        assert login.learn(renewed(2))
        assert (await login.value()).value == b"fake-access-token-2"
        assert {b"fake-access-token-1", b"fake-refresh-token-0", b"fake-refresh-token-2"} <= set(login.live())
        assert not login.learn(renewed(3, client_id="another")), "another client"
        assert not login.learn(json.dumps({**REFRESH, "refresh_token": "fake-refresh-token-9"}).encode()), "a new login"
        assert (await login.value()).value == b"fake-access-token-2"

    run(body)


@pytest.mark.parametrize("when", ["before its turn", "during its turn"])
def test_a_login_that_is_set_anew_during_a_refresh_stands(when: str) -> None:
    world = World(token(1, refresh_token="fake-refresh-token-1"))

    async def body() -> None:
        login = world.make("oauth-refresh", REFRESH)
        if when == "before its turn":
            world.stored = json.dumps({**REFRESH, "refresh_token": "fake-refresh-token-9"}).encode()
        else:
            world.keep_fails = Refusal("secret_changed", "Another version is there.", status=409)
        refused = await refusal_of(login.value())
        assert refused.code == "secret_changed"
        assert len(world.calls) == (when == "during its turn")
        assert not world.kept

    run(body)


def test_a_pair_that_is_too_long_to_be_kept_together_leaves_the_refresh_token() -> None:
    long = "fake" * 4000
    world = World((200, {"access_token": long, "token_type": "Bearer", "refresh_token": long}))

    async def body() -> None:
        await world.make("oauth-refresh", {**REFRESH, "parameters": {"resource": "x" * 40_000}}).value()
        kept = json.loads(world.kept[0])
        assert kept["refresh_token"] == long
        assert "access_token" not in kept

    run(body)


def test_where_storing_fails_nothing_is_used_and_the_old_token_is_not_shown_again() -> None:
    world = World(token(1, refresh_token="fake-refresh-token-1"))

    async def body() -> None:
        login = world.make("oauth-refresh", REFRESH)
        world.keep_fails = OSError(28, "No space left on device: fake-refresh-token")
        refused = await refusal_of(login.value())
        assert (refused.code, refused.status) == ("not_stored", 503)
        assert "fake-refresh" not in str(refused)
        assert {b"fake-access-token-1", b"fake-refresh-token-1"} <= set(login.live())
        world.now += HOLD + 1
        world.keep_fails = None
        assert (await login.value()).value == b"fake-access-token-1"
        assert len(world.calls) == 1  # a second use of the old one would end the whole login
        assert len(world.kept) == 1

    run(body)


@pytest.mark.parametrize(
    ("status", "answer", "code", "says"),
    [
        (400, {"error": "invalid_grant", "error_description": "canary"}, "login_needed", "log in again"),
        (200, {"error": "bad_refresh_token", "error_description": "canary"}, "login_needed", "Log in again"),
        (401, {"error": "invalid_client"}, "token_refused", "client_secret"),
        (400, {"error": "invalid_scope"}, "token_refused", "scopes"),
        (400, {"error": "canary_word"}, "token_refused", "token address"),
        (400, {"error": {"canary": 1}}, "token_refused", "token address"),
        (404, b"<html>canary</html>", "token_refused", "token address"),
        (503, b"canary", "token_unavailable", "try again"),
        (429, {"error": "slow_down"}, "token_unavailable", "try again"),
        (302, b"", "token_refused", "token address"),
        (200, b"canary", "token_refused", "no access token"),
        (200, b"[" * 100_000, "token_refused", "no access token"),
        (200, {"access_token": "canary\r\nx: y"}, "token_refused", "characters"),
        (200, {"access_token": "canary canary"}, "token_refused", "characters"),
        (200, {"access_token": "canary-canary", "token_type": "DPoP"}, "token_refused", "bearer"),
        (200, {"access_token": 5}, "token_refused", "no access token"),
        (200, {"access_token": "x" * 20_000}, "token_refused", "no access token"),
        (200, b'{"access_token": "' + b"x" * 300_000 + b'"}', "token_refused", "no access token"),
    ],
)
def test_what_goes_wrong_says_who_should_act_and_never_repeats_the_answer(
    status: int, answer: object, code: str, says: str
) -> None:
    world = World((status, answer))

    async def body() -> None:
        refused = await refusal_of(world.make("oauth-refresh", REFRESH).value())
        assert refused.code == code
        assert says in str(refused)
        assert "canary" not in str(refused)
        assert refused.__cause__ is None

    run(body)


def test_a_failure_is_held_so_that_nobody_hammers_the_service() -> None:
    world = World((400, {"error": "invalid_grant"}), token(1))

    async def body() -> None:
        login = world.make("oauth-refresh", REFRESH)
        first = await asyncio.gather(*(login.value() for _ in range(20)), return_exceptions=True)
        assert len({id(error) for error in first}) == 20
        await refusal_of(login.value())
        assert len(world.calls) == 1
        world.now += HOLD + 1
        assert (await login.value()).value == b"fake-access-token-1"

    run(body)


@pytest.mark.parametrize(
    ("expires_in", "good_for"),
    [(3600, 3539), (60, 29), (None, 3539), ("7200", 7139), ("soon", 3539), (True, 3539), (1e400, 3600), (-5, 0)],
)
def test_how_long_a_token_is_used(expires_in: object, good_for: int) -> None:
    world = World(token(1, expires_in=expires_in), token(2), token(3))

    async def body() -> None:
        login = world.make("oauth-refresh", REFRESH)
        await login.value()
        world.now += max(good_for - 1, 0)
        assert (await login.value()).value == (b"fake-access-token-1" if good_for > 0 else b"fake-access-token-2")

    run(body)


def test_client_authentication_scopes_and_parameters() -> None:
    world = World(token(1), token(1), token(1))

    async def body() -> None:
        fields = {**REFRESH, "client_authentication": "post", "scopes": ["a", "b"], "parameters": {"resource": "r"}}
        await world.make("oauth-refresh", fields).value()
        assert world.form()["client_secret"] == "fake-client-secret"
        assert (world.form()["scope"], world.form()["resource"]) == ("a b", "r")
        assert "authorization" not in world.calls[0][2]
        public = {name: value for name, value in REFRESH.items() if name != "client_secret"}
        await world.make("oauth-refresh", public, scopes="a,b c").value()
        assert world.form()["client_id"] == "client"
        assert world.form()["scope"] == "a b c"
        await world.make("oauth-refresh", {**REFRESH, "client_id": "a:b c", "client_secret": "ü:% fake"}).value()
        decoded = base64.b64decode(world.calls[-1][2]["authorization"].removeprefix("Basic "))
        assert decoded == b"a%3Ab+c:%C3%BC%3A%25+fake"

    run(body)


# -- client-credentials, jwt-assertion: what is signed ----------------------------------------------------------------


def pem(key: Any) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
RSA_PUBLIC = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def unbase64(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def claims_of(made: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(unbase64(made.split(b".")[1]))
    return found


def verified(made: bytes, algorithm: str) -> dict[str, Any]:
    """Verify the signature with google-auth or cryptography, and return the claims."""
    signed, _, signature = made.rpartition(b".")
    assert json.loads(unbase64(signed.split(b".")[0]))["alg"] == algorithm
    if algorithm == "RS256":
        assert google_crypt.verify_signature(signed, unbase64(signature), RSA_PUBLIC)  # type: ignore[no-untyped-call]
        return claims_of(made)
    if algorithm == "ES256":
        raw = unbase64(signature)
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        EC_KEY.public_key().verify(der, signed, ec.ECDSA(SHA256()))
    else:
        ED_KEY.public_key().verify(unbase64(signature), signed)
    return claims_of(made)


@pytest.mark.parametrize(
    ("algorithm", "key"), [("RS256", RSA_KEY), ("ES256", EC_KEY), ("EdDSA", ED_KEY)], ids=["rsa", "ec", "ed"]
)
def test_a_client_proves_itself_with_a_signed_assertion(algorithm: str, key: Any) -> None:
    world = World(token(1))

    async def body() -> None:
        fields = {"client_id": "service", "token_url": "https://idp.example.com/token", "private_key": pem(key)}
        client = world.make("client-credentials", {**fields, "algorithm": algorithm, "scopes": "a b", "key_id": "k1"})
        assert (await client.value()).value == b"fake-access-token-1"
        form = world.form()
        assert form["grant_type"] == "client_credentials"
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        claims = verified(form["client_assertion"].encode(), algorithm)
        assert claims["iss"] == claims["sub"] == "service"
        assert claims["aud"] == "https://idp.example.com/token"
        assert claims["exp"] - claims["iat"] == 120
        assert claims["jti"]
        body_lines = pem(key).strip().splitlines()[1:-1]
        assert {line.encode() for line in body_lines if len(line) >= 16} <= set(client.live())

    run(body)


def test_client_credentials_with_a_secret() -> None:
    world = World(token(1), token(2))

    async def body() -> None:
        fields = {"client_id": "s", "token_url": "https://idp.example.com/t", "client_secret": "fake-client-secret"}
        client = world.make("client-credentials", fields, parameters="audience=https://api.example.com")
        await client.value()
        assert world.form() == {"grant_type": "client_credentials", "audience": "https://api.example.com"}
        assert await client.rejected(await client.value())
        assert (await client.value()).value == b"fake-access-token-2"

    run(body)


def test_a_signed_token_serves_for_half_of_its_life() -> None:
    world = World()

    async def body() -> None:
        said = {"audience": "api", "algorithm": "ES256", "ttl": "100", "subject": "you", "claims": "tenant=7"}
        key = world.make("jwt-assertion", {"private_key": pem(EC_KEY), "issuer": "me"}, **said)
        first = await key.value()
        claims = verified(first.value, "ES256")
        assert claims == {"iss": "me", "sub": "you", "aud": "api", "iat": START, "exp": START + 100, "tenant": "7"}
        world.now += 49
        assert (await key.value()).version == first.version
        world.now += 2
        assert (await key.value()).value != first.value
        assert first.value in key.live()
        assert not await key.rejected(first)

    run(body)


def test_single_use_tokens_have_an_id_each_and_are_all_live() -> None:
    world = World()

    async def body() -> None:
        fields = {"private_key": "fake-shared-secret-of-32-bytes-or-more", "issuer": "me", "audience": "api"}
        key = world.make("jwt-assertion", {**fields, "algorithm": "HS256", "single_use": True})
        first = await key.value()
        world.now += 1
        second = await key.value()
        assert claims_of(first.value)["jti"] == "07" * 16
        assert {first.value, second.value} <= set(key.live())
        world.now += 301
        assert first.value not in key.live()

    run(body)


GOOGLE = {
    "type": "service_account",
    "project_id": "p",
    "private_key_id": "kid-1",
    "private_key": pem(RSA_KEY),
    "client_email": "robot@p.iam.gserviceaccount.com",
    "client_id": "1",
    "auth_uri": "https://accounts.google.com/o/oauth2/auth",
    "token_uri": "https://oauth2.googleapis.com/token",
    "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
    "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/robot",
    "universe_domain": "googleapis.com",
}


def test_a_google_service_account_is_accepted_as_it_is_and_exchanged() -> None:
    world = World(token(1), token(2))

    async def body() -> None:
        key = world.make("jwt-assertion", GOOGLE, scopes="https://www.googleapis.com/auth/devstorage.read_only")
        assert (await key.value()).value == b"fake-access-token-1"
        assert world.calls[0][1] == "https://oauth2.googleapis.com/token"
        assert world.form()["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        claims = verified(world.form()["assertion"].encode(), "RS256")
        assert claims["aud"] == "https://oauth2.googleapis.com/token"
        assert claims["scope"] == "https://www.googleapis.com/auth/devstorage.read_only"
        assert claims["exp"] - claims["iat"] == 3600
        assert world.form()["assertion"].encode() in key.live()
        assert await key.rejected(await key.value())

    run(body)


def test_a_google_service_account_signs_for_an_api_itself() -> None:
    world = World()

    async def body() -> None:
        key = world.make("jwt-assertion", GOOGLE, audience="https://pubsub.googleapis.com/", ttl="600")
        claims = verified((await key.value()).value, "RS256")
        assert (claims["aud"], claims["exp"] - claims["iat"]) == ("https://pubsub.googleapis.com/", 600)

    run(body)


# -- github-app -------------------------------------------------------------------------------------------------------

APP = {"app_id": 12345, "private_key": pem(RSA_KEY), "installation_id": 678}
ISSUED = {"token": "ghs_fake_installation_token_0123456789", "expires_at": "2023-11-14T23:13:20Z"}


def test_an_installation_token() -> None:
    world = World((201, ISSUED), (201, {**ISSUED, "token": "ghs_fake_second_token_0123456789abcdef"}))

    async def body() -> None:
        app = world.make("github-app", {**APP, "permissions": {"contents": "write"}}, repositories="app,lib")
        assert (await app.value()).value == b"ghs_fake_installation_token_0123456789"
        method, url, headers, sent = world.calls[0]
        assert (method, url) == ("POST", "https://api.github.com/app/installations/678/access_tokens")
        assert json.loads(sent) == {"repositories": ["app", "lib"], "permissions": {"contents": "write"}}
        assert headers["user-agent"]
        claims = verified(headers["authorization"].removeprefix("Bearer ").encode(), "RS256")
        assert claims["iss"] == "12345"
        assert claims["iat"] == START - 60
        assert START < claims["exp"] <= START + 600
        world.now += 3600 - 299
        assert (await app.value()).value.startswith(b"ghs_fake_second")
        assert b"ghs_fake_installation_token_0123456789" in app.live()

    run(body)


def test_an_installation_is_looked_up_once_by_its_repository_at_an_enterprise_server() -> None:
    world = World((200, {"id": 99}), (201, ISSUED), (201, ISSUED))

    async def body() -> None:
        fields = {"app_id": "Iv1.fake", "private_key": pem(RSA_KEY), "repository": "owner/app"}
        app = world.make("github-app", fields, api_base="https://git.example.com/api/v3/")
        await app.value()
        await app.rejected(await app.value())
        assert [url for _, url, _, _ in world.calls] == [
            "https://git.example.com/api/v3/repos/owner/app/installation",
            "https://git.example.com/api/v3/app/installations/99/access_tokens",
            "https://git.example.com/api/v3/app/installations/99/access_tokens",
        ]
        assert world.calls[1][3] == b""

    run(body)


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (401, "token_refused", "private_key"),
        (403, "token_refused", "suspended"),
        (404, "token_refused", "Install the app"),
        (422, "token_refused", "permissions"),
        (502, "token_unavailable", "try again"),
        (200, "token_refused", "no access token"),
    ],
)
def test_what_github_refuses(status: int, code: str, says: str) -> None:
    world = World((status, {"message": "canary"}))

    async def body() -> None:
        refused = await refusal_of(world.make("github-app", APP).value())
        assert (refused.code, "canary" in str(refused)) == (code, False)
        assert says in str(refused)

    run(body)
