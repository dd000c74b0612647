"""The inside: which addresses are of it, which keys; and that their places in a text are all that changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.inside import IN_ITS_PLACE, InsideRemover, addresses_removed

HOSTS = frozenset({"models.example.com"})


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("upstream http://10.0.0.7:9000/v1?x=1 (proxy-3.prod.svc.cluster.local:8000) said", "upstream X (X) said"),
        ("https://platform.openai.com/account/api-keys", "https://platform.openai.com/account/api-keys"),
        ("connect to http://backend:8080/x failed", "connect to X failed"),
        ("http://user:word@backend-int:8080", "X"),
        ("dial tcp 192.168.7.7:443: refused", "dial tcp X: refused"),
        ("dial tcp [fd00::1]:443, [::1]:80", "dial tcp X, X"),
        ("169.254.169.254 and 127.0.0.1 and localhost:11434", "X and X and X"),
        ("8.8.8.8 and v1.2.3 and 1.2.3.4", "8.8.8.8 and v1.2.3 and 1.2.3.4"),
        ("https://models.example.com/v1/chat: 502", "X 502"),
        ("redis://cache:6379/0", "X"),
        ("messages.0.content: no", "messages.0.content: no"),
        ("ollama_chat/llama3:8b", "ollama_chat/llama3:8b"),
    ],
)
def test_what_is_removed(text: str, left: str) -> None:
    assert addresses_removed(text.encode(), HOSTS) == left.encode().replace(b"X", IN_ITS_PLACE)


@given(st.binary())
def test_any_bytes_are_read(data: bytes) -> None:
    removed = addresses_removed(data)
    assert addresses_removed(removed) == removed


@pytest.mark.parametrize("piece", [b"a", b"a.", b"a-", b"http://", b"[", b"a://", b"1.", b"a:1"])
def test_a_long_text_is_read_in_one_go(piece: bytes) -> None:
    """Would not end if it went back and forth. Only two of these, said again and again, make addresses."""
    text = piece * (1_000_000 // len(piece))
    assert (addresses_removed(text) == text) is (b"://" not in piece)


def test_keys_are_taken_out() -> None:
    remove = InsideRemover(["sk-fake-long", "sk-fake-long-and-longer", "short", ""])
    assert remove(b"a sk-fake-long-and-longer b sk-fake-long c short") == b"a [key removed] b [key removed] c short"


@given(st.binary(), st.binary())
def test_no_key_is_left(before: bytes, after: bytes) -> None:
    assert b"sk-fake-key" not in InsideRemover(["sk-fake-key"])(before + b"sk-fake-key" + after)


def test_a_key_is_found_in_json_and_in_addresses_too() -> None:
    remove = InsideRemover(['fake"key/with+odd'])
    assert remove(b'{"m":"fake\\"key/with+odd"} ?key=fake%22key%2Fwith%2Bodd') == (
        b'{"m":"[key removed]"} ?key=[key removed]'
    )


def test_hosts_that_are_given_are_inside() -> None:
    remove = InsideRemover(["sk-fake-key"], ["Models.example.com"])
    assert remove(b"https://models.example.com:8443/v1 said no to sk-fake-key") == (
        b"[address removed] said no to [key removed]"
    )
    assert remove.keys(b"http://10.0.0.1/a: sk-fake-key") == b"http://10.0.0.1/a: [key removed]"
