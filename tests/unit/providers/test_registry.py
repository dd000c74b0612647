"""Registering providers: at run time, from config, from plug-ins; and what is refused."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest

from penstock.providers import registry as registry_module
from penstock.providers.auth.kinds import HeaderKey
from penstock.providers.endpoint import endpoint
from penstock.providers.errors import ProviderError
from penstock.providers.provider import Provider, Route
from penstock.providers.registry import Registry, default_registry, register_provider, registry_from_config
from penstock.providers.resolve_model import resolve_model

ACME = Provider(name="acme", base_url="https://llm.acme.example/v1", key_environment=("ACME_API_KEY",), aliases=("ac",))


def empty() -> Registry:
    return Registry([], plugins=lambda: ())


def test_a_provider_is_found_by_name_and_alias() -> None:
    registry = empty()
    assert registry.register(ACME) is ACME
    assert registry.get("acme") is ACME
    assert registry.get("ac") is ACME
    assert "acme" in registry
    assert list(registry) == [ACME]
    assert len(registry) == 1


def test_a_registered_provider_works_like_a_built_in_one() -> None:
    registry = Registry(plugins=lambda: ())
    registry.register(ACME)
    found = resolve_model("acme/big", registry)
    target = endpoint(found.provider, "chat", found.model, environment={"ACME_API_KEY": "sk-fake"})
    assert target.url == "https://llm.acme.example/v1/chat/completions"


@pytest.mark.parametrize(
    "row",
    [
        Provider(name="acme", base_url="https://other.example"),
        Provider(name="ac", base_url="https://other.example"),
        Provider(name="new", base_url="https://other.example", aliases=("acme",)),
        Provider(name="new", base_url="https://other.example", aliases=("ac",)),
    ],
)
def test_a_name_that_is_taken(row: Provider) -> None:
    registry = empty()
    registry.register(ACME)
    with pytest.raises(ProviderError, match="taken by 'acme'") as caught:
        registry.register(row)
    assert caught.value.kind == "duplicate_provider"
    assert list(registry) == [ACME]
    assert "new" not in registry


def test_a_row_may_stand_in_for_another_on_request() -> None:
    registry = empty()
    registry.register(ACME)
    mine = Provider(name="acme", base_url="https://mine.example", aliases=("a2",))
    registry.register(mine, replace=True)
    assert registry.get("acme") is mine
    assert registry.get("a2") is mine
    assert "ac" not in registry
    with pytest.raises(ProviderError):
        registry.register(Provider(name="b", base_url="https://b.example", aliases=("a2",)), replace=True)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, "neither base_url nor base_environment"),
        ({"base_url": "acme.example"}, "does not begin with http"),
        ({"base_url": 7}, r"\$\.base_url"),
        ({"base_url": "https://x", "keyenvironment": ["A"]}, "keyenvironment"),
        ({"base_url": "https://x", "speaks": []}, "speaks is empty"),
        ({"base_url": "https://x", "speaks": ["openai_chatt"]}, "'openai_chatt' is not a known format"),
        (
            {"base_url": "https://x", "speaks": [{"format": "openai_chat", "capability": "chatting"}]},
            "'chatting' is none of",
        ),
        ({"base_url": "https://x", "speaks": [{"path": "/x"}]}, "format"),
        ({"base_url": "https://x", "auth": []}, "auth is empty"),
        ({"base_url": "https://x", "auth": [{"kind": "magic"}]}, "magic"),
        ({"base_url": "https://{region}.x"}, "names the setting 'region'"),
        ({"base_url": "https://x", "headers": {"h": "{nope}"}}, "names the setting 'nope'"),
        ({"base_url": "https://x", "profile": {"reasoning": "telepathy"}}, "telepathy"),
        ({"base_url": "https://x", "model_rules": [{"models": ["*"], "profile": {"nulls": 3}}]}, "model rule for"),
        ({"base_url": "https://x", "model_rules": [{"models": ["*"], "profile": {"typo": 3}}]}, "no field typo"),
        ({"base_url": "https://x", "settings": [{"name": "s", "model_segment": "("}]}, "not a regular expression"),
        ({"base_url": "https://x", "aliases": ["a/b"]}, "'a/b' is not a name"),
    ],
)
def test_a_row_that_is_wrong_is_refused_at_once_and_says_where(row: dict[str, Any], said: str) -> None:
    registry = empty()
    with pytest.raises(ProviderError, match=said) as caught:
        registry.register_mapping("acme", row)
    assert caught.value.kind == "malformed_provider"
    assert len(registry) == 0


@pytest.mark.parametrize("name", ["", "a/b", "a b", "/"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(ProviderError, match="is not a name"):
        empty().register(Provider(name=name, base_url="https://x.example"))


def test_constructors_do_not_check_types_but_registering_does() -> None:
    with pytest.raises(ProviderError, match="key_environment"):
        empty().register(Provider(name="x", base_url="https://x.example", key_environment=(1,)))  # type: ignore[arg-type]  # which is the mistake


def test_a_config_file_adds_and_replaces() -> None:
    config: dict[str, dict[str, Any]] = {
        "acme": {
            "base_url": "https://llm.acme.example/v1",
            "key_environment": ["ACME_API_KEY"],
            "auth": [{"kind": "header_key", "header": "x-acme-key"}],
            "speaks": ["openai_chat", {"format": "anthropic_messages", "prefix": "/anthropic"}],
            "profile": {"max_tokens_field": "max_tokens", "unsupported": ["seed"]},
        },
        "groq": {"base_url": "https://proxy.example/groq", "key_environment": ["GROQ_API_KEY"]},
    }
    registry = registry_from_config(config)
    acme = registry.get("acme")
    assert acme.auth == (HeaderKey(header="x-acme-key"),)
    assert acme.speaks == ("openai_chat", Route(format="anthropic_messages", prefix="/anthropic"))
    assert acme.profile.unsupported == {"seed"}
    assert registry.get("groq").base_url == "https://proxy.example/groq"
    assert registry.get("openai").name == "openai"
    assert default_registry().get("groq").base_url == "https://api.groq.com/openai/v1"


def test_a_config_may_stand_on_another_registry() -> None:
    base = empty()
    base.register(ACME)
    registry = registry_from_config({"b": {"base_url": "https://b.example"}}, base=base)
    assert [row.name for row in registry] == ["acme", "b"]
    assert "b" not in base


def test_the_default_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "_DEFAULT", Registry(plugins=lambda: ()))
    assert register_provider("acme", base_url="https://a.example", key_environment=["K"]).key_environment == ("K",)
    assert register_provider(Provider(name="b", base_url="https://b.example")).name == "b"
    assert register_provider("c", {"base_url": "https://c.example"}).base_url == "https://c.example"
    assert {"acme", "b", "c", "openai"} <= {row.name for row in default_registry()}
    with pytest.raises(ProviderError):
        register_provider("openai", base_url="https://x.example")
    assert register_provider("openai", base_url="https://x.example", replace=True).base_url == "https://x.example"


# -- plug-ins ----------------------------------------------------------------------------------------------------------

ONE = Provider(name="plugged", base_url="https://plugged.example")


LOOKS = Provider(
    name="lookalike",
    base_url="https://api.lookalike.example/v1",
    key_environment=("LOOKALIKE_API_KEY",),
    model_families=("lookalike-*",),
)


def several() -> list[Provider]:
    return [Provider(name=f"plugged-{n}", base_url="https://plugged.example") for n in (1, 2)]


def nothing() -> object:
    return object()


def failing() -> object:
    raise RuntimeError("it is Monday")


def entry(value: str) -> EntryPoint:
    return EntryPoint(value.lower(), f"{__name__}:{value}", "penstock.providers")


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points import by name; pytest keeps this module under its own."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


@pytest.mark.usefixtures("importable")
def test_plugins_are_loaded_on_the_first_unknown_name_and_once() -> None:
    asked: list[int] = []

    def plugins() -> list[EntryPoint]:
        asked.append(1)
        return [entry("ONE"), entry("several")]

    registry = Registry([ACME], plugins=plugins)
    assert registry.get("acme") is ACME
    assert asked == []
    assert registry.get("plugged") is ONE
    assert registry.get("plugged-2").name == "plugged-2"
    assert "never" not in registry
    assert asked == [1]


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize(
    ("value", "said"),
    [("nothing", "could not be loaded"), ("failing", "it is Monday"), ("absent", "absent")],
)
def test_a_plugin_that_fails_is_named(value: str, said: str) -> None:
    registry = Registry([ACME], plugins=lambda: [entry(value)])
    with pytest.raises(ProviderError, match=said) as caught:
        registry.get("other")
    assert caught.value.kind == "malformed_provider"
    assert value in caught.value.message


@pytest.mark.usefixtures("importable")
def test_a_plugin_that_fails_goes_on_failing_and_leaves_no_half() -> None:
    registry = Registry([ACME], plugins=lambda: [entry("ONE"), entry("failing")])
    for look in (registry.load_plugins, lambda: registry.get("plugged"), lambda: list(registry), lambda: len(registry)):
        with pytest.raises(ProviderError, match="it is Monday"):
            look()
    assert registry.get("acme") is ACME, "what is known needs no plug-in"


@pytest.mark.usefixtures("importable")
def test_a_plugin_cannot_take_a_name_and_is_named() -> None:
    registry = Registry([Provider(name="plugged", base_url="https://mine.example")], plugins=lambda: [entry("ONE")])
    with pytest.raises(ProviderError, match=r"plug-in 'one'.*'plugged' is taken"):
        registry.load_plugins()


@pytest.mark.usefixtures("importable")
def test_a_row_of_the_users_stands_in_for_a_plugins() -> None:
    registry = Registry([ACME], plugins=lambda: [entry("ONE"), entry("several")])
    mine = registry.register(Provider(name="plugged", base_url="https://mine.example"))
    assert [row.name for row in registry] == ["acme", "plugged", "plugged-1", "plugged-2"]
    assert registry.get("plugged") is mine


@pytest.mark.usefixtures("importable")
def test_a_plugin_is_recognised_by_its_host_and_its_models() -> None:
    registry = Registry([ACME], plugins=lambda: [entry("LOOKS")])
    assert resolve_model("lookalike-7b", registry).provider is LOOKS
    registry = Registry([ACME], plugins=lambda: [entry("LOOKS")])
    assert registry.find_by_host("https://api.lookalike.example/v1") is LOOKS


@pytest.mark.usefixtures("importable")
def test_a_registry_on_top_of_another_loads_its_plugins_once() -> None:
    asked: list[int] = []

    def plugins() -> list[EntryPoint]:
        asked.append(1)
        return [entry("ONE")]

    registry = registry_from_config({"b": {"base_url": "https://b.example"}}, base=Registry([ACME], plugins=plugins))
    assert [row.name for row in registry] == ["acme", "plugged", "b"]
    assert asked == [1]


PACKAGE = """\
from penstock.providers.provider import Provider

ROW = Provider(name="installed", base_url="https://llm.installed.example/v1", model_families=("installed-*",))
"""
METADATA = "Metadata-Version: 2.1\nName: installed-provider\nVersion: 1.2.3\n"


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (PACKAGE, "('x', 'installed', None, None)"),
        ("raise RuntimeError('it is Monday')", "of the package installed-provider 1.2.3 (installed_provider:ROW)"),
        ("ROW = 1", "of the package installed-provider 1.2.3 (installed_provider:ROW)"),
    ],
    ids=["sound", "broken", "no-row"],
)
def test_an_installed_package(module: str, said: str, tmp_path: Path) -> None:
    """What `pip install` leaves behind: a module, and metadata with an entry point."""
    metadata = tmp_path / "installed_provider-1.2.3.dist-info"
    metadata.mkdir()
    (tmp_path / "installed_provider.py").write_text(module)
    (metadata / "METADATA").write_text(METADATA)
    (metadata / "entry_points.txt").write_text("[penstock.providers]\ninstalled = installed_provider:ROW\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import penstock\n"
        "try:\n    print(penstock.get_llm_provider('installed/x'))\n"
        "except penstock.PenstockError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said in done.stdout


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_an_unknown_provider_names_the_nearest() -> None:
    registry = Registry(plugins=lambda: ())
    with pytest.raises(ProviderError, match="Did you mean perplexity") as caught:
        registry.get("perplexitty")
    assert (caught.value.kind, caught.value.provider) == ("unknown_provider", "perplexitty")
    with pytest.raises(ProviderError, match=r"docs/reference/providers\.md"):
        registry.get("zzzzzz")


def test_registering_from_several_threads_loses_nothing() -> None:
    registry = Registry(plugins=lambda: ())
    rows = [Provider(name=f"p{n}", base_url="https://x.example") for n in range(40)]
    threads = [Thread(target=registry.register, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(row.name in registry for row in rows)


def test_importing_loads_no_rows_and_no_metadata() -> None:
    code = (
        "import sys, penstock.providers.registry\n"
        "late = ('penstock.providers.rows', 'httpx', 'importlib.metadata', 'cryptography')\n"
        "assert not [name for name in sys.modules if name.startswith(late)]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_error_survives_a_trip_between_processes() -> None:
    import pickle

    error = ProviderError("missing_key", "m", "f", provider="p", status=401)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.kind, copy.message, copy.fix, copy.provider, copy.status) == ("missing_key", "m", "f", "p", 401)
    assert str(copy) == "m f"


def test_a_row_is_a_value() -> None:
    with pytest.raises(AttributeError):
        ACME.name = "other"  # type: ignore[misc]  # frozen, as is to be shown
    assert msgspec.structs.replace(ACME, title="Acme") != ACME
