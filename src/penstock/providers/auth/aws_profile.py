"""The AWS files: `~/.aws/credentials` and `~/.aws/config`, read and merged into profiles.

Both are INI files; names of sections keep their case, names of settings do not. The credentials file names its sections
plainly `[NAME]`; the config file `[profile NAME]` (quoted where it has spaces), but `[default]` or, with more weight,
`[profile default]`; besides, it holds `[sso-session NAME]` and `[services NAME]`, and what is called otherwise there is
no profile. What both files say of a profile, the credentials file says with more weight.
(docs.aws.amazon.com/sdkref/latest/guide/file-format.html)
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

from penstock.providers.auth.commands import Flow, read_file
from penstock.providers.errors import ProviderError

Sections: TypeAlias = dict[str, dict[str, str]]
"""Name -> its settings, keys in lower case."""


class AwsFiles(Struct, frozen=True):
    """What both files say: profiles, and the sections that profiles refer to by name."""

    profiles: Sections = {}
    sso_sessions: Sections = {}
    services: Sections = {}

    def __repr__(self) -> str:
        return f"AwsFiles({sorted(self.profiles)})"


def load_files(environment: Mapping[str, str]) -> Flow[AwsFiles]:
    """Read both files; absent ones count as empty. Raises ProviderError (malformed_credentials) where one is not an INI
    file.
    """
    config = yield from _load("AWS_CONFIG_FILE", ".aws/config", environment)
    credentials = yield from _load("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", environment)
    profiles = _named(config, "profile")
    if "default" in config:
        profiles.setdefault("default", config["default"])
    for name, settings in credentials.items():
        profiles[name] = {**profiles.get(name, {}), **settings}
    return AwsFiles(profiles, _named(config, "sso-session"), _named(config, "services"))


def load_profiles(environment: Mapping[str, str]) -> Flow[Sections]:
    """The profiles of both files. Raises as `load_files` does."""
    return (yield from load_files(environment)).profiles


def profile_name(parameters: Mapping[str, object], environment: Mapping[str, str]) -> str:
    """The profile that is meant: the call's, the environment's, or the default one."""
    names = (parameters.get("aws_profile_name"), environment.get("AWS_PROFILE"), environment.get("AWS_DEFAULT_PROFILE"))
    return next((str(name) for name in names if name), "default")


def nested(text: str) -> dict[str, str]:
    """The settings in a setting: indented lines below its name, as in a section of services."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _load(variable: str, default: str, environment: Mapping[str, str]) -> Flow[Sections]:
    path = in_home(environment.get(variable) or f"~/{default}", environment)
    content = (yield from read_file(path)) if path else None
    return parse_sections(content or b"", path or default)


def _named(sections: Sections, kind: str) -> Sections:
    """The sections `[kind NAME]`, by name."""
    found: Sections = {}
    for section, settings in sections.items():
        word, _, name = section.strip().replace("\t", " ").partition(" ")
        name = name.strip()
        quoted = len(name) > 1 and name[0] == name[-1] and name[0] in "\"'"
        if word == kind and name:
            found[name[1:-1] if quoted else name] = settings
    return found


def parse_sections(content: bytes, path: str) -> Sections:
    """The sections of one file. `path` is for the error message."""
    parser = configparser.RawConfigParser(default_section="\0", strict=False, inline_comment_prefixes=("#", ";"))
    try:
        parser.read_string(content.decode("utf-8-sig"))
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0].rstrip(":")
        message = f"The AWS file {path} is not a file of [sections] with key = value lines: {reason}."
        raise ProviderError("malformed_credentials", message, "Mend it, or set AWS_ACCESS_KEY_ID instead.") from None
    return {section.strip(): dict(parser.items(section)) for section in parser.sections()}


def in_home(path: str, environment: Mapping[str, str]) -> str | None:
    """`path` with a leading `~` replaced by the user's home folder; None where that is not known."""
    if not path.startswith("~"):
        return path
    home = environment.get("HOME") or environment.get("USERPROFILE")
    return home.rstrip("/\\") + path[1:] if home else None
