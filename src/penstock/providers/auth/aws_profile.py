"""The AWS files: `~/.aws/credentials` and `~/.aws/config`, read and merged into profiles.

Both are INI files; the config file names its sections `[profile NAME]` (but `[default]`), the credentials file plainly
`[NAME]`. What both say, the credentials file says with more weight.
(docs.aws.amazon.com/sdkref/latest/guide/file-format.html)
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from typing import TypeAlias

from penstock.providers.auth.commands import Flow, read_file
from penstock.providers.errors import ProviderError

Profiles: TypeAlias = dict[str, dict[str, str]]
"""Profile name -> its settings, keys in lower case."""


def load_profiles(environment: Mapping[str, str]) -> Flow[Profiles]:
    """Read both files; absent ones count as empty. Raises ProviderError (malformed_credentials) where one is not an INI
    file.
    """
    merged: Profiles = {}
    for variable, default, strip in (
        ("AWS_CONFIG_FILE", ".aws/config", "profile "),
        ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", ""),
    ):
        path = in_home(environment.get(variable) or f"~/{default}", environment)
        content = (yield from read_file(path)) if path else None
        for section, settings in parse_profiles(content or b"", path or default).items():
            name = section.removeprefix(strip).strip()
            merged[name] = {**merged.get(name, {}), **settings}
    return merged


def parse_profiles(content: bytes, path: str) -> Profiles:
    """The sections of one file. `path` is for the error message."""
    parser = configparser.RawConfigParser(default_section="\0", strict=False, inline_comment_prefixes=(" #", " ;"))
    try:
        parser.read_string(content.decode())
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        message = f"The AWS file {path} is not a file of [sections] with key = value lines: {reason}."
        raise ProviderError("malformed_credentials", message, "Mend it, or set AWS_ACCESS_KEY_ID instead.") from None
    return {section: dict(parser.items(section)) for section in parser.sections()}


def in_home(path: str, environment: Mapping[str, str]) -> str | None:
    """`path` with a leading `~` replaced by the user's home folder; None where that is not known."""
    if not path.startswith("~"):
        return path
    home = environment.get("HOME") or environment.get("USERPROFILE")
    return home.rstrip("/\\") + path[1:] if home else None
