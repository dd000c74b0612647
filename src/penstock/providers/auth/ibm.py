"""IBM Cloud IAM: an API key in exchange for a bearer token of an hour
(cloud.ibm.com/docs/account?topic=account-iamtoken_from_apikey).
"""

from __future__ import annotations

from penstock.providers.auth.commands import Flow
from penstock.providers.auth.credentials import Token
from penstock.providers.auth.oauth import request_token

IAM_URL = "https://iam.cloud.ibm.com/identity/token"


def ibm_token(api_key: str, now: float, url: str = IAM_URL) -> Flow[Token]:
    """The token for `api_key` from `url` (WATSONX_IAM_URL: a private endpoint, another cloud).

    Raises ProviderError: token_unreachable, token_refused.
    """
    form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": api_key}
    fix = "Check the API key (WATSONX_APIKEY) and that it is not disabled."
    return (yield from request_token(url, form, now, who="IBM Cloud IAM", fix=fix))
