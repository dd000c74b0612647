"""The master key: where it is from, and what is none."""

from __future__ import annotations

import pytest

from penstock.control.config.master_key import master_key


@pytest.mark.parametrize("variable", ["PENSTOCK_MASTER_KEY", "LITELLM_MASTER_KEY"])
def test_the_master_key_of_the_environment(variable: str) -> None:
    assert master_key(None, "", {variable: "sk-fake-master"}) == ("sk-fake-master", variable)


def test_our_own_variable_comes_first_and_the_configuration_before_it() -> None:
    environment = {"LITELLM_MASTER_KEY": "sk-fake-old", "PENSTOCK_MASTER_KEY": "sk-fake-new"}
    assert master_key(None, "", environment) == ("sk-fake-new", "PENSTOCK_MASTER_KEY")
    assert master_key("sk-fake-given", "c.yaml", environment) == ("sk-fake-given", "c.yaml")


@pytest.mark.parametrize("given", ["sk-fake-master\n", "  sk-fake-master "])
def test_it_is_taken_without_the_spaces_that_no_client_can_send(given: str) -> None:
    assert master_key(None, "", {"PENSTOCK_MASTER_KEY": given})[0] == "sk-fake-master"


@pytest.mark.parametrize("given", ["", " ", "\n"])
def test_spaces_are_no_key(given: str) -> None:
    assert master_key(None, "", {"PENSTOCK_MASTER_KEY": given}) == (None, None)
