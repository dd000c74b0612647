"""Authorization by AWS: credentials from the chain (`auth/aws_chain.py`), a signature over each request
(`auth/sigv4.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from penstock.providers.auth import sigv4
from penstock.providers.auth.authorization import Signed
from penstock.providers.auth.aws_chain import aws_credentials, keys_at_hand
from penstock.providers.auth.commands import Flow
from penstock.providers.auth.credentials import AwsCredentials, Credential, digest, require_sendable


class AwsAuthorization(Struct, frozen=True, kw_only=True):
    """Signature Version 4 for `service` in `region`. `parameters` and `environment` are what the credential chain may
    look at.
    """

    service: str
    region: str
    parameters: dict[str, Any]
    environment: dict[str, str]

    needs_credential = True

    @property
    def cache_key(self) -> str:
        """None for keys that lie at hand: there is nothing to fetch, and if a host refuses them, no others to try."""
        if keys_at_hand(self.parameters, self.environment):
            return ""
        return f"aws:{digest(self.region, sorted(self.parameters.items()), sorted(self.environment.items()))}"

    def obtain(self, now: float) -> Flow[Credential]:
        return (yield from aws_credentials(self.parameters, self.environment, self.region, now))

    def sign(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, credential: Credential, now: float
    ) -> Signed:
        assert isinstance(credential, AwsCredentials), "an AWS signature is made with AwsCredentials"
        for value in (credential.access_key_id, credential.session_token or ""):
            require_sendable(value, f"the AWS signature, from {credential.source}")
        added = sigv4.sign(
            method, url, headers, body, credentials=credential, region=self.region, service=self.service, now=now
        )
        return Signed(url, added)

    def __repr__(self) -> str:
        return f"AwsAuthorization({self.service}, {self.region})"
