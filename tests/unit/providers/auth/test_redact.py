"""What a service says, without the secrets of the request that it says it of."""

import base64
from urllib.parse import quote_plus

import pytest

from penstock.providers.auth.commands import Fetch
from penstock.providers.auth.redact import without_keys, without_secrets

SECRET = "fake/secret+value=="


@pytest.mark.parametrize(
    "command",
    [
        Fetch(method="GET", url="u", headers={"Authorization": f"Bearer {SECRET}"}),
        Fetch(method="GET", url="u", headers={"authorization": SECRET}),
        Fetch(method="GET", url="u", headers={"X-Identity-Header": SECRET}),
        Fetch(
            method="GET",
            url="u",
            headers={"Authorization": f"Basic {base64.b64encode(f'id:{SECRET}'.encode()).decode()}"},
        ),
        Fetch(method="POST", url="u", body=f"scope=all&client_secret={quote_plus(SECRET)}".encode()),
    ],
)
def test_secrets_are_blackened_in_every_spelling(command: Fetch) -> None:
    said = f"scope all is not for {SECRET} or {quote_plus(SECRET)}"
    assert without_secrets(said, command) == "scope all is not for *** or ***"


def test_the_rest_of_a_form_may_be_told() -> None:
    command = Fetch(method="POST", url="u", body=b"scope=all-apis&client_id=somebody&client_secret=x")
    assert without_secrets("somebody may not all-apis: x", command) == "somebody may not all-apis: x"


def test_a_program_tells_no_keys() -> None:
    key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    assert (
        without_keys(f"no such key: {key}, in /home/me/.aws/credentials")
        == "no such key: ***, in /home/me/.aws/credentials"
    )
