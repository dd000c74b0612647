"""Configurations in tests: texts instead of files, and errors as lines."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

import pytest

from penstock.control.config.bundle import Bundle
from penstock.control.config.load import load_bundle
from penstock.control.config.loaded import Loaded
from penstock.control.config.problems import ConfigErrors

MAIN = "penstock.yaml"


def bundle(text: str, **others: str) -> Bundle:
    """The text as the main file; others by name, with `_yaml` for `.yaml`."""
    files = {name.replace("_yaml", ".yaml"): dedent(each) for name, each in others.items()}
    return Bundle(MAIN, {MAIN: dedent(text), **files})


def loaded(text: str, environment: Mapping[str, str] | None = None, **others: str) -> Loaded:
    """What the text comes to."""
    return load_bundle(bundle(text, **others), environment or {})


def refused(text: str, environment: Mapping[str, str] | None = None, **others: str) -> list[str]:
    """The errors of the text, in words. Fails where there are none."""
    with pytest.raises(ConfigErrors) as caught:
        loaded(text, environment, **others)
    return [str(each) for each in caught.value.problems]
