"""Builds the reference page of the providers out of the catalog: `python -m tools.build_provider_page [--check]`.

The page is committed, since people read it where the source lies; a test fails when it does not say what the catalog
says.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from penstock.providers.catalog import built_in_providers
from penstock.providers.endpoint import keyless, variables_of
from penstock.providers.provider import Provider
from penstock.providers.routes import capabilities_of, formats_of, main_format

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "providers.md"

HEAD = """\
# Providers

*Generated from the catalog by `python -m tools.build_provider_page`.*

A model is called `provider/model`: the first column and the host's own name for the model, as in `groq/llama-3.3-70b` or
`openrouter/anthropic/claude-sonnet-5`. Where a host speaks several chat formats, the first is used; `openai/responses/gpt-5`
asks for another one (`chat`, `responses`, `messages`, `converse`). A base URL of your own goes into `api_base` or the
variable of the last column, and `openai/ANYTHING` with `api_base` reaches any server that copies OpenAI's API.

The key is the parameter `api_key` or the first of the variables that is set. Azure, Google and AWS take their own
credentials as well: [below](#credentials-of-the-clouds).

## Add one of your own

In Python, for the running program:

```python
from penstock import register_provider

register_provider("acme", base_url="https://llm.acme.example/v1", key_environment=["ACME_API_KEY"])
```

As an entry point of a package, for everybody who installs it: in the group `penstock.providers`, a `Provider`, a list of
them, or a function that returns either. Fields are described in `penstock.providers.provider`; a row that is wrong is
refused when it is registered.
"""  # noqa: E501

TAIL = """
## Credentials of the clouds

| cloud | asked in this order |
|---|---|
| AWS | `aws_access_key_id` ...; `aws_profile_name`; `AWS_ACCESS_KEY_ID` ...; the role of a profile; `AWS_WEB_IDENTITY_TOKEN_FILE`; keys or `credential_process` of a profile; the container; the instance. `aws_role_name` assumes a role on top. A Bedrock API key (`AWS_BEARER_TOKEN_BEDROCK`) needs none of it |
| Google | `vertex_credentials`; `GOOGLE_APPLICATION_CREDENTIALS`; `gcloud auth application-default login`; the metadata server. Key files of service accounts need `pip install "penstock[google]"` |
| Azure | `api_key`; `azure_ad_token` or `azure_ad_token_provider`; `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET`; `AZURE_FEDERATED_TOKEN_FILE`; a managed identity |
| IBM | `WATSONX_APIKEY`, in exchange for a token; `WATSONX_TOKEN` |
| Databricks | `DATABRICKS_TOKEN`; `DATABRICKS_CLIENT_ID` with `DATABRICKS_CLIENT_SECRET` |

Not supported, and said so in the error: AWS IAM Identity Center (SSO) and MFA, which need a person.
"""  # noqa: E501


def page() -> str:
    """The whole page."""
    rows = [row for row in built_in_providers() if row.speaks]
    hosted, local = ([row for row in rows if row.local is is_local] for is_local in (False, True))
    unreachable = [row for row in built_in_providers() if row.own_api]
    return "\n".join(
        (
            HEAD,
            f"## Hosted ({len(hosted)})\n",
            *_table(hosted),
            f"\n## Servers of your own ({len(local)})\n",
            "They need no key. Without `api_base` they are looked for on this machine.\n",
            *_table(local),
            "\n## Known, and not to be called\n",
            *(f"- `{row.name}` ({row.title}): {row.own_api}." for row in unreachable),
            TAIL,
        )
    )


def _table(rows: list[Provider]) -> list[str]:
    head = ["| name | host | chat formats | serves besides | key | base URL |", "|---|---|---|---|---|---|"]
    return [*head, *(_row(row) for row in sorted(rows, key=lambda row: row.name))]


def _row(row: Provider) -> str:
    besides = [name.replace("_", " ") for name in capabilities_of(row) if name not in ("chat", "models")]
    keys = _words(variables_of(row)[:3])
    cells = (
        _words((row.name, *(alias for alias in row.aliases if not alias.startswith("vertex_ai-")))),
        f"[{row.title}]({row.documentation})" if row.documentation else row.title,
        _words(_chat_formats(row)),
        ", ".join(besides),
        f"{keys} (optional)" if keyless(row) and keys else keys,
        _words(row.base_environment[:1]),
    )
    return f"| {' | '.join(cells)} |"


def _chat_formats(row: Provider) -> tuple[str, ...]:
    """The main one first."""
    return tuple(sorted(formats_of(row, "chat"), key=lambda name: name != main_format(row)))


def _words(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` say whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the page is out of date")
    if parser.parse_args(arguments).check:
        return 0 if PAGE.read_text(encoding="utf-8") == page() else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
