"""What would have to be set to reach a provider: all that is needed, of one way and not of two."""

from __future__ import annotations

import pytest

from penstock.providers.auth.kinds import AwsSignature, GoogleOAuth
from penstock.providers.endpoint import endpoint, keyless
from penstock.providers.errors import ProviderError
from penstock.providers.provider import Provider
from penstock.providers.registry import default_registry
from penstock.providers.ways import missing_by_way, missing_variables
from penstock.providers.wire_formats import WIRE_FORMATS

REGISTRY = default_registry()
ROWS = [row for row in REGISTRY if row.speaks]
WITHOUT_FILES = [row for row in ROWS if not any(isinstance(kind, AwsSignature | GoogleOAuth) for kind in row.auth)]
"""Those for which a cloud's chain does not look for credentials in files as well."""
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)

AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
ENTRA = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")


@pytest.mark.parametrize(
    ("name", "environment", "missing"),
    [
        ("openai", {}, [("OPENAI_API_KEY",)]),
        ("openai", {"OPENAI_API_KEY": "k"}, [()]),
        ("ollama", {}, [()]),
        ("nadir", {}, [("NADIR_API_KEY", "NADIR_API_BASE")]),
        ("vertex_ai", {"VERTEX_API_KEY": "k"}, [()]),
        ("vertex_ai", {"VERTEXAI_API_KEY": "k"}, [()]),
        ("vertex_ai", {"VERTEX_API_KEY": "k", "GOOGLE_CLOUD_PROJECT": "p"}, [()]),
        ("vertex_ai", {"GOOGLE_APPLICATION_CREDENTIALS": "f", "VERTEXAI_PROJECT": "p"}, [()]),
        (
            "vertex_ai",
            {},
            [
                ("VERTEX_API_KEY",),
                ("GOOGLE_OAUTH_ACCESS_TOKEN", "VERTEXAI_PROJECT"),
                ("GOOGLE_APPLICATION_CREDENTIALS", "VERTEXAI_PROJECT"),
            ],
        ),
        (
            "vertex_ai",
            {"GOOGLE_CLOUD_PROJECT": "p"},
            [("GOOGLE_OAUTH_ACCESS_TOKEN",), ("GOOGLE_APPLICATION_CREDENTIALS",), ("VERTEX_API_KEY",)],
        ),
        ("bedrock", {"AWS_BEARER_TOKEN_BEDROCK": "k", "AWS_REGION": "r"}, [()]),
        ("bedrock", {"AWS_PROFILE": "work", "AWS_REGION": "r"}, [()]),
        ("bedrock", {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x", "AWS_REGION": "r"}, [()]),
        ("bedrock", {"AWS_WEB_IDENTITY_TOKEN_FILE": "f", "AWS_ROLE_ARN": "a", "AWS_REGION": "r"}, [()]),
        (
            "bedrock",
            {"AWS_ACCESS_KEY_ID": "a", "AWS_REGION": "r"},
            [
                ("AWS_SECRET_ACCESS_KEY",),
                ("AWS_BEARER_TOKEN_BEDROCK",),
                ("AWS_PROFILE",),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
            ],
        ),
        ("azure", {"AZURE_API_KEY": "k", "AZURE_API_BASE": "https://x.example"}, [()]),
        ("azure", dict.fromkeys(ENTRA, "x") | {"AZURE_API_BASE": "https://x.example"}, [()]),
        ("databricks", {"DATABRICKS_TOKEN": "k", "DATABRICKS_HOST": "https://x.example"}, [()]),
        (
            "databricks",
            {"DATABRICKS_CLIENT_ID": "a", "DATABRICKS_HOST": "https://x.example"},
            [("DATABRICKS_CLIENT_SECRET",), ("DATABRICKS_API_KEY",)],
        ),
    ],
)
def test_what_is_missing_by_way(name: str, environment: dict[str, str], missing: list[tuple[str, ...]]) -> None:
    row = REGISTRY.get(name)
    assert list(missing_by_way(row, environment=environment)) == missing
    assert missing_variables(row, environment=environment) == missing[0]


def test_the_name_of_a_model_may_say_the_region() -> None:
    row, environment = REGISTRY.get("bedrock"), dict.fromkeys(AWS, "x")
    assert missing_variables(row, environment=environment) == ("AWS_REGION_NAME",)
    assert missing_variables(row, environment=environment, model="us-west-2/anthropic.claude") == ()


def test_a_key_of_the_call_is_a_key() -> None:
    assert missing_variables(REGISTRY.get("openai"), {"api_key": "k"}) == ()
    assert missing_variables(REGISTRY.get("nadir"), {"api_key": "k", "api_base": "https://x.example"}) == ()


@every_row
def test_each_way_leads_there(row: Provider) -> None:
    """Whoever sets what one of the ways lacks is not asked for more."""
    for way in missing_by_way(row):
        environment = {name: "https://x.example" if name.endswith(("BASE", "HOST")) else "sk-fake" for name in way}
        assert missing_by_way(row, environment=environment) == ((),)
        assert _lacks(row, environment) is None


@pytest.mark.parametrize("row", WITHOUT_FILES, ids=lambda row: row.name)
def test_who_lacks_something_is_refused(row: Provider) -> None:
    """And where nothing is said to be missing, nothing is."""
    missing = missing_by_way(row)
    assert (missing == ((),)) == (_lacks(row, {}) is None)
    assert keyless(row) or missing != ((),)


def _lacks(row: Provider, environment: dict[str, str]) -> str | None:
    """What an endpoint of the row is refused for, if for want of a key or a setting."""
    place = row.speaks[0]
    name, capability = (place, None) if isinstance(place, str) else (place.format, place.capability)
    try:
        endpoint(row, capability or WIRE_FORMATS[name].capability, "a-model", environment=environment)
    except ProviderError as error:
        return error.kind if error.kind.startswith("missing") else None
    return None
