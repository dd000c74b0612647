"""What a session never shows: values of any length, values that change; and no crash over those that cannot be."""

import secrets

import pytest

from penstock.vault.credentials.static import Static
from penstock.vault.held import Held
from penstock.vault.live_values import RETIRED, LiveValues
from penstock.vault.records import SecretRecord
from penstock.vault.values import Refusal, Secret

LONG = b"fake-" + bytes(range(33, 126)) * 200


class Values(Static):
    """A credential with several live values."""

    def __init__(self, *values: bytes) -> None:
        super().__init__(Secret("S", values[0]))
        self.values = list(values)

    def live(self) -> list[bytes]:
        return self.values


def live_values(*values: bytes, stub: bytes = b"") -> tuple[LiveValues, Values]:
    credential = Values(*values)
    held = Held(SecretRecord(name="S", version=1, bindings=()), credential, stub, {})
    return LiveValues(lambda: [held], secrets.token_bytes), credential


def scrubbed(values: LiveValues, data: bytes) -> bytes:
    stream = values.scrubber.stream()
    return stream.feed(data) + stream.end()


def test_a_value_is_shown_as_its_stub_or_as_something_as_long() -> None:
    values, _ = live_values(b"fake-secret-1234", b"fake-refresh-token-99", stub=b"stub-secret-0000")
    said = scrubbed(values, b"a fake-secret-1234 b fake-refresh-token-99 c")
    assert said.startswith(b"a stub-secret-0000 b ") and len(said) == 44 and b"refresh-token-99" not in said
    assert said == scrubbed(values, b"a fake-secret-1234 b fake-refresh-token-99 c"), "always as the same"


@pytest.mark.parametrize("value", [b"", b"a", b"1234567", b"aaaaaaaa", b"        x", b"--------", LONG])
def test_no_value_is_too_short_too_long_or_too_plain_to_be_lived_with(value: bytes) -> None:
    values, _ = live_values(value)
    said = scrubbed(values, b"<" + value + b">")
    assert len(said) == len(value) + 2
    assert len(value.strip()) < 8 or said != b"<" + value + b">"


def test_a_value_that_was_replaced_is_still_not_shown() -> None:
    values, credential = live_values(b"fake-old-token-0001")
    before = values.scrubber
    assert values.scrubber is before, "it is made anew only when something changes"
    values.retire(credential.live())
    credential.values = [b"fake-new-token-0002"]
    assert b"token-000" not in scrubbed(values, b"fake-old-token-0001 fake-new-token-0002")


def test_a_session_that_replaces_values_for_ever_is_stopped() -> None:
    values, _ = live_values(b"fake-old-token-0001")
    values.retire([b"fake-token-%06d" % each for each in range(RETIRED)])
    with pytest.raises(Refusal, match="replaced more"):
        values.retire([b"fake-token-more"])


def test_a_value_in_the_names_of_fields_is_seen_in_any_case() -> None:
    values, _ = live_values(b"Fake-Secret-1234")
    assert values.scrubber.most_held
    assert values.in_name("x-one\nx-fake-secret-1234\n")
    assert values.in_name("x-" + b"Fake-Secret-1234".hex()) and not values.in_name("x-one\nx-two")
