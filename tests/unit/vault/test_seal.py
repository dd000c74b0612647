"""The sealed store: who copies or edits the file learns and redirects nothing; processes agree; kills lose nothing."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault import keyfile
from penstock.vault.quality import bits, check_env, check_value
from penstock.vault.records import SecretRecord
from penstock.vault.seal import DATABASE, KEY_FILE, Store
from penstock.vault.values import Refusal

CANARY = b"fake-canary-9f2c81d4e07b"
BINDING = "GET https://api.example.com:443/v1/* header:authorization"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "state")
    yield opened
    opened.close()


def refusal(code: str) -> Any:
    return pytest.raises(Refusal, check=lambda error: error.code == code)


def edit(store_directory: Path, statement: str, *values: object) -> None:
    """What somebody does who can write the database."""
    database = sqlite3.connect(store_directory / DATABASE)
    with database:
        assert database.execute(statement, values).rowcount > 0
    database.close()


def test_a_value_comes_back_in_the_process_of_the_vault(store: Store) -> None:
    store.put("github", CANARY, env="GITHUB_TOKEN", bindings=[BINDING])
    secret = store.reveal("github")
    assert (secret.name, secret.value, secret.version) == ("github", CANARY, 1)


def test_a_record_says_all_but_the_value(store: Store) -> None:
    record = store.put(
        "router", CANARY, kind="ssh", env="ROUTER", bindings=["* ssh://r1.lab:22/ ssh"],
        addresses={"r1.lab": ["10.1.0.0/16"]}, options={"user": "admin"}, owner="ann",
    )  # fmt: skip
    assert store.get("router", owner="ann") == record
    assert record.addresses == {"r1.lab": ("10.1.0.0/16",)}
    assert re.fullmatch(r"[0-9a-f]{16}", record.fingerprint)
    with refusal("no_such_secret"):
        store.get("router")


def test_nothing_that_the_store_shows_or_writes_holds_the_value(store: Store, tmp_path: Path) -> None:
    store.put("a", CANARY, bindings=[BINDING], options={"x": 1})
    store.rotate("a", CANARY + b"-second")
    records = [store.get("a"), *store.list(), *store.list(versions=True)]
    text = f"{records} {store} {store.reveal('a')}" + msgspec.json.encode(records).decode()
    files = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())
    for haystack in (text.encode(), files):
        for needle in (CANARY, CANARY.hex().encode(), CANARY[:12]):
            assert needle not in haystack


def test_files_are_closed_to_others(store: Store, tmp_path: Path) -> None:
    store.put("a", CANARY)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()} == {0o600}
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_an_open_key_file_is_refused_with_its_cure(tmp_path: Path) -> None:
    Store.open(tmp_path / "s").close()
    (tmp_path / "s" / KEY_FILE).chmod(0o640)
    with pytest.raises(Refusal, match="chmod 600"):
        Store.open(tmp_path / "s")


def test_a_linked_key_file_is_refused(tmp_path: Path) -> None:
    Store.open(tmp_path / "s").close()
    (tmp_path / "s" / KEY_FILE).rename(tmp_path / "elsewhere")
    (tmp_path / "s" / KEY_FILE).symlink_to(tmp_path / "elsewhere")
    with refusal("bad_key_file"):
        Store.open(tmp_path / "s")


def test_a_folder_in_the_place_of_the_key_file_is_refused(tmp_path: Path) -> None:
    Store.open(tmp_path / "s").close()
    (tmp_path / "s" / KEY_FILE).unlink()
    (tmp_path / "s" / KEY_FILE).mkdir(mode=0o700)
    with refusal("bad_key_file"):
        Store.open(tmp_path / "s")


def test_an_open_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir(mode=0o755)
    (tmp_path / "s").chmod(0o755)
    with pytest.raises(Refusal, match="chmod 700"):
        Store.open(tmp_path / "s")


def test_a_lost_key_makes_no_new_one(tmp_path: Path) -> None:
    Store.open(tmp_path / "s").close()
    (tmp_path / "s" / KEY_FILE).unlink()
    with refusal("key_missing"):
        Store.open(tmp_path / "s")
    assert not (tmp_path / "s" / KEY_FILE).exists()


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    Store.open(tmp_path / "s", b"k" * 32).close()
    assert not (tmp_path / "s" / KEY_FILE).exists()
    with refusal("wrong_key"):
        Store.open(tmp_path / "s", b"x" * 32)
    with refusal("bad_key"):
        Store.open(tmp_path / "s", b"short")


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("api.example.com", "evil.example.com"),
        ('"owner":""', '"owner":"eve"'),
        ('"kind":"static"', '"kind":"basic"'),
        ('"env":"TOKEN"', '"env":"OTHER"'),
        ("10.0.0.0/8", "0.0.0.0/0"),
        ('"upstream_ca":null', '"upstream_ca":"x"'),
        ('"source":null', '"source":"exec:id"'),
        ('"revoked_at":null', '"revoked_at":1.0'),
    ],
)
def test_an_edited_row_no_longer_opens(tmp_path: Path, was: str, becomes: str) -> None:
    store = Store.open(tmp_path / "s")
    store.put("a", CANARY, env="TOKEN", bindings=[BINDING], addresses={"h": ["10.0.0.0/8"]})
    edit(tmp_path / "s", "UPDATE secrets SET record = replace(record, ?, ?) WHERE instr(record, ?)", was, becomes, was)
    for read in (store.reveal, store.get, lambda name: store.list(), lambda name: store.rotate(name, CANARY)):
        with refusal("store_tampered"):
            read("a")
    store.delete("a")
    store.put("a", CANARY)
    assert store.reveal("a").value == CANARY
    store.close()


@pytest.mark.parametrize("columns", [("sealed",), ("wrapped",), ("wrapped", "sealed"), ("record", "wrapped", "sealed")])
def test_columns_of_two_rows_cannot_be_exchanged(tmp_path: Path, columns: tuple[str, ...]) -> None:
    store = Store.open(tmp_path / "s")
    store.put("good", CANARY, bindings=[BINDING])
    store.put("evil", b"fake-value-of-the-other", bindings=[BINDING.replace("api", "evil")])
    taken = ", ".join(f"{column} = (SELECT {column} FROM secrets WHERE name = 'good')" for column in columns)
    edit(tmp_path / "s", f"UPDATE secrets SET {taken} WHERE name = 'evil'")
    with refusal("store_tampered"):
        store.reveal("evil")
    assert store.reveal("good").value == CANARY
    store.close()


def test_a_row_cannot_move_to_another_owner_or_version(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s")
    store.put("a", CANARY, owner="ann")
    edit(tmp_path / "s", "UPDATE secrets SET owner = 'eve'")
    with refusal("store_tampered"):
        store.reveal("a", owner="eve")
    edit(tmp_path / "s", "UPDATE secrets SET owner = 'ann', version = 2")
    with refusal("store_tampered"):
        store.reveal("a", owner="ann")
    store.close()


def test_rotating_keeps_the_policy_and_destroys_the_former_value(store: Store, tmp_path: Path) -> None:
    first = store.put("a", CANARY, env="TOKEN", bindings=[BINDING])
    second = store.rotate("a", b"fake-second-value-71", expected=1)
    assert (second.version, second.bindings, second.env) == (2, first.bindings, "TOKEN")
    assert second.fingerprint != first.fingerprint
    assert [record.version for record in store.list(versions=True)] == [1, 2]
    former = store.get("a", version=1)
    assert (former.fingerprint, former.revoked_at is not None) == (first.fingerprint, True)
    with refusal("secret_changed"):
        store.rotate("a", b"fake-third-value-9931", expected=1)
    sealed = sqlite3.connect(tmp_path / "state" / DATABASE).execute("SELECT length(sealed) FROM secrets").fetchall()
    assert sealed[0] == (12 + 16,), "nothing but nonce and tag is left of the first"


def test_revoked_is_for_good(store: Store) -> None:
    store.put("a", CANARY)
    revoked = store.revoke("a")
    assert revoked.revoked_at is not None
    assert store.revoke("a") == revoked
    for act in (store.reveal, lambda name: store.rotate(name, CANARY)):
        with refusal("secret_revoked"):
            act("a")
    assert store.put("a", CANARY + b"2").version == 2
    assert store.reveal("a").version == 2


def test_a_source_is_sealed_as_policy_but_has_no_value(store: Store) -> None:
    record = store.put("a", source="env:TOKEN", bindings=[BINDING])
    assert (record.source, record.fingerprint) == ("env:TOKEN", "")
    with refusal("secret_has_source"):
        store.reveal("a")
    with refusal("bad_secret"):
        store.put("a", CANARY, source="env:TOKEN")
    with refusal("bad_secret"):
        store.put("a")


def test_changes_of_this_and_of_another_process_are_seen(store: Store, tmp_path: Path) -> None:
    other = Store.open(tmp_path / "state")
    marks = [store.changes()]
    assert store.changes() == marks[0]
    store.put("a", CANARY)
    marks.append(store.changes())
    other.revoke("a")
    marks.append(store.changes())
    assert len(set(marks)) == 3
    assert store.changes() == marks[2]
    other.close()


def test_a_new_key_leaves_values_fingerprints_and_other_processes_as_they_are(tmp_path: Path) -> None:
    store, other = Store.open(tmp_path / "s"), Store.open(tmp_path / "s")
    fingerprint = store.put("a", CANARY).fingerprint
    audit = store.derived_key("audit")
    before = (tmp_path / "s" / KEY_FILE).read_bytes()
    store.rekey()
    assert (tmp_path / "s" / KEY_FILE).read_bytes() != before
    for each in (store, other, Store.open(tmp_path / "s")):
        assert each.reveal("a").value == CANARY
        assert each.fingerprint(CANARY) == fingerprint
        assert each.derived_key("audit") == audit != each.derived_key("other")
        each.close()
    (tmp_path / "s" / KEY_FILE).write_bytes(before)
    with refusal("wrong_key"):
        Store.open(tmp_path / "s")


def test_a_key_given_is_exchanged_for_a_key_given(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", b"1" * 32)
    store.put("a", CANARY)
    with refusal("bad_key"):
        store.rekey()
    store.rekey(b"2" * 32)
    assert store.reveal("a").value == CANARY
    store.close()
    assert Store.open(tmp_path / "s", b"2" * 32).reveal("a").value == CANARY


@pytest.mark.parametrize("moment", ["before the rows", "after the rows"])
def test_a_rekey_that_is_killed_leaves_a_store_that_opens_and_can_be_rekeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    store = Store.open(tmp_path / "s")
    store.put("a", CANARY)

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"penstock.vault.seal.{'finish_key' if moment == 'after the rows' else '_seal'}", killed)
        with pytest.raises(KeyboardInterrupt):
            store.rekey()
    store.close()
    for _ in range(2):
        again = Store.open(tmp_path / "s")
        assert again.reveal("a").value == CANARY
        with monkeypatch.context() as patch:
            patch.setattr("penstock.vault.seal._seal", killed)
            with pytest.raises(KeyboardInterrupt):
                again.rekey()
        again.close()
    again = Store.open(tmp_path / "s")
    again.rekey()
    assert again.reveal("a").value == CANARY
    assert not (tmp_path / "s" / (KEY_FILE + ".new")).exists()
    again.close()


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weak",
    [
        b"",
        b"brief",
        b"1234567",
        b"aaaaaaaaaaaaaaaa",
        b"abababababab",
        b"12345678",
        b"abcdefgh",
        b"Password",
        b"00000001",
    ],
)
def test_weak_values_are_refused_and_not_repeated(store: Store, weak: bytes) -> None:
    with refusal("secret_too_short") as caught:
        store.put("a", weak)
    assert not weak or weak.decode() not in str(caught.value)
    assert caught.value.fix
    assert store.list() == []


@pytest.mark.parametrize(
    "good", [b"cisco1!x", b"fake-key-8d1f", b"\x91\x02\xf3\x1b\x77\xaa\xc0\x5e", b"deadbeefcafe0123"]
)
def test_ordinary_credentials_are_taken(good: bytes) -> None:
    check_value(good)


@given(st.binary(min_size=16, max_size=64).filter(lambda value: len(set(value)) > 8))
def test_random_values_are_taken(value: bytes) -> None:
    if bits(value) >= 16:
        check_value(value)
    assert bits(value) >= 0


@pytest.mark.parametrize("value", [CANARY + b"\n", CANARY + b"\r\nX-Evil: 1", b"fake\0canary-9f2c"])
@pytest.mark.parametrize("slot", ["header:authorization", "basic:password", "cookie:sid", "query:key"])
def test_line_breaks_are_refused_where_the_value_goes_into_a_head(store: Store, value: bytes, slot: str) -> None:
    with refusal("secret_has_line_break"):
        store.put("a", value, bindings=["* https://h.example:443/* json:/token", f"* https://h.example:443/* {slot}"])


def test_line_breaks_are_taken_where_they_do_no_harm(store: Store) -> None:
    key = b"-----BEGIN FAKE KEY-----\n9f2c81d4\n-----END FAKE KEY-----\n"
    store.put("key", key, kind="ssh", bindings=["* ssh://h.example:22/ ssh"])
    assert store.reveal("key").value == key


STEERING = """
PATH LD_PRELOAD LD_LIBRARY_PATH HOME HTTPS_PROXY https_proxy no_proxy NODE_EXTRA_CA_CERTS CURL_CA_BUNDLE SSL_CERT_FILE
NODE_OPTIONS PYTHONPATH GIT_SSH_COMMAND GIT_CONFIG_COUNT BASH_ENV
"""


@pytest.mark.parametrize(
    "name", [*STEERING.split(), "1TOKEN", "A-B", "A=B", "A\nB", "A B", "TOKEN\n", "", "É", "A" * 200]
)
def test_names_that_steer_programs_are_refused(name: str) -> None:
    with refusal("bad_env_name"):
        check_env(name)


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "NODE_AUTH_TOKEN", "ANTHROPIC_API_KEY", "_x", "pgpassword"])
def test_names_of_credentials_are_taken(name: str) -> None:
    check_env(name)


@pytest.mark.parametrize(
    ("code", "settings"),
    [
        ("bad_address", {"addresses": {"h": ["10.0.0.1/8"]}}),
        ("bad_address", {"addresses": {"h": ["here"]}}),
        ("bad_upstream_ca", {"upstream_ca": "hello"}),
        ("bad_upstream_ca", {"upstream_ca": "-----BEGIN PRIVATE KEY-----"}),
        ("bad_secret", {"options": {"a": object()}}),
        ("bad_secret", {"options": {"a": "x" * 70_000}}),
        ("secret_in_metadata", {"options": {"client": [CANARY.decode()]}}),
        ("secret_in_metadata", {"bindings": [f"GET https://h.example:443/?k={CANARY.decode()} query:k"]}),
    ],
)
def test_settings_that_are_wrong_are_refused(store: Store, code: str, settings: dict[str, Any]) -> None:
    with refusal(code) as caught:
        store.put("a", CANARY, **settings)
    assert CANARY.decode() not in str(caught.value)


@pytest.mark.parametrize("name", ["", "../x", "a b", "-a", "a" * 129, "a\n"])
def test_names_are_plain(store: Store, name: str) -> None:
    with refusal("bad_secret_name"):
        store.put(name, CANARY)


# -- processes --------------------------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from penstock.vault.seal import Store
store = Store.open(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    store.put(sys.argv[2], b"fake-%s-%08d-9f2c" % (sys.argv[2].encode(), number))
    print(number, flush=True)
"""


def writer(directory: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(directory), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_processes_that_begin_together_make_one_store(tmp_path: Path) -> None:
    processes = [writer(tmp_path / "s", "shared", 8) for _ in range(4)]
    for process in processes:
        assert process.communicate()[1] == b""
        assert process.returncode == 0
    store = Store.open(tmp_path / "s")
    assert store.get("shared").version == 32
    assert [record.version for record in store.list(versions=True)] == [*range(1, 33)]
    store.close()


def test_a_kill_at_any_moment_loses_nothing_that_was_said(tmp_path: Path) -> None:
    for attempt in range(5):
        process = writer(tmp_path / "s", f"w{attempt}", 100_000)
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        time.sleep(0.003 * attempt)
        os.kill(process.pid, signal.SIGKILL)
        said = 3 + len(process.communicate()[0].splitlines())
        store = Store.open(tmp_path / "s")
        assert store.get(f"w{attempt}").version in (said, said + 1)
        assert store.reveal(f"w{attempt}").value.startswith(b"fake-w")
        store.close()


def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir(mode=0o700)
    (tmp_path / "s" / DATABASE).write_bytes(b"this is no database, " * 100)
    (tmp_path / "s" / DATABASE).chmod(0o600)
    with refusal("store_damaged"):
        Store.open(tmp_path / "s")


def test_a_key_is_made_once(tmp_path: Path) -> None:
    keyfile.create_key(tmp_path / "key")
    first = keyfile.read_key(tmp_path / "key")
    keyfile.create_key(tmp_path / "key")
    assert keyfile.read_key(tmp_path / "key") == first
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_record_is_plain_json() -> None:
    record = SecretRecord(name="a", version=1)
    assert msgspec.json.decode(msgspec.json.encode(record), type=SecretRecord) == record
    assert "value" not in json.loads(msgspec.json.encode(record))
