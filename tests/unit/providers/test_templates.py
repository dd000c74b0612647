"""Settings: where their values come from, in which order."""

import pytest

from penstock.providers.errors import ProviderError
from penstock.providers.provider import Provider, Setting
from penstock.providers.templates import fill, fill_all, fill_optional, find_settings

REGION = Setting(
    name="region",
    parameters=("my_region", "region"),
    environment=("MY_REGION", "REGION"),
    model_segment=r"r\d",
    model_pattern=r"^arn:(r\d):",
    default="r0",
)


def find(*settings: Setting, model: str = "m", environment: dict[str, str] | None = None, **parameters: str) -> object:
    row = Provider(name="p", base_url="https://x.example", settings=settings)
    found = find_settings(row, model, parameters, environment or {})
    return found.values, found.model


def test_where_a_setting_comes_from() -> None:
    variables = {"MY_REGION": "r3", "REGION": "r4"}
    assert find(REGION, model="r1/m", my_region="r2") == ({"region": "r1"}, "m")
    assert find(REGION, model="arn:r5:m", my_region="r2", environment=variables) == ({"region": "r2"}, "arn:r5:m")
    assert find(REGION, region="r6", environment=variables) == ({"region": "r6"}, "m")
    assert find(REGION, model="arn:r5:m", environment=variables) == ({"region": "r5"}, "arn:r5:m")
    assert find(REGION, environment=variables) == ({"region": "r3"}, "m")
    assert find(REGION, environment={"MY_REGION": "", "REGION": "r4"}) == ({"region": "r4"}, "m")
    assert find(REGION) == ({"region": "r0"}, "m")


def test_a_segment_must_fit_entirely_and_leave_a_model() -> None:
    assert find(REGION, model="r1x/m") == ({"region": "r0"}, "r1x/m")
    assert find(REGION, model="r1") == ({"region": "r0"}, "r1")


def test_settings_may_be_made_of_others() -> None:
    host = Setting(name="host", of="region", cases={"r1": "one.example", "*": "{region}.example"})
    assert find(REGION, host, my_region="r1") == ({"region": "r1", "host": "one.example"}, "m")
    assert find(REGION, host) == ({"region": "r0", "host": "r0.example"}, "m")
    by_model = Setting(name="prefix", of="model", cases={"gpt-*": "/a", "*": "/b"})
    assert find(by_model, model="GPT-5") == ({"prefix": "/a"}, "GPT-5")
    assert find(Setting(name="x", of="nothing", cases={"?*": "y"})) == ({}, "m")
    assert find(Setting(name="x", default="{absent}")) == ({}, "m")


def test_templates() -> None:
    values = {"a": "1", "b": "2"}
    assert fill_optional("{a}-{b}", values) == "1-2"
    assert fill_optional("{a}-{c}", values) is None
    assert fill_all({"x": "{a}", "y": "{c}", "z": "plain"}, values) == {"x": "1", "z": "plain"}
    with pytest.raises(ProviderError, match="no c"):
        fill("{a}{c}", values, lambda name: ProviderError("missing_setting", f"no {name}"))


def test_a_value_is_not_a_template() -> None:
    assert fill_optional("{a}", {"a": "{b}", "b": "2"}) == "{b}"
