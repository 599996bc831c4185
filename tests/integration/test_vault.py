"""The vault in a real ledger: what is put comes back, what lies there tells nothing, what is changed stays shut."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from infra.ledger import Ledger, SealedSecret
from infra.ledger.secrets import CHUNK
from infra.references import resolve
from infra.vault import KeyRing, Vault
from schemas.errors import ConfigurationError, InputError
from schemas.key_ring import ring_keys
from schemas.references import VaultReference
from schemas.secret import Secret
from tests.conftest import Clock
from tests.support.ledger import rows
from tests.support.vault import everything, ring, ring_text, told, vault_of

NAME = "tap/IOTZ00000000000042/password"
WORD = "correct-horse-battery-staple"


@pytest.fixture
def vault(ledger: Ledger, clock: Clock) -> Vault:
    return Vault(ledger.secrets, ring("new", "old"), clock=clock)


def put(vault: Vault, values: Mapping[str, str]) -> None:
    vault.put_many({name: SecretStr(value) for name, value in values.items()})


def opened(vault: Vault) -> dict[str, str]:
    return {name: vault.get(name).get_secret_value() for name in vault.names()}


def tamper(ledger: Ledger, statement: str, **bound: object) -> None:
    with ledger.database.writing() as connection:
        assert connection.execute(text(statement), bound).rowcount


def _write_with(ledger: Ledger, sealed: Sequence[SealedSecret], statement: str) -> None:
    with ledger.database.writing() as connection:
        ledger.secrets.write(connection, sealed)
        connection.execute(text(statement))


@contextmanager
def statements(ledger: Ledger) -> Iterator[list[str]]:
    """Every statement that a ledger is sent."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(ledger.database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(ledger.database.engine, "before_cursor_execute", note)


def refusal(vault: Vault, name: str = NAME) -> str:
    with pytest.raises((InputError, ConfigurationError)) as caught:
        vault.get(name)
    assert WORD not in told(caught.value)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_what_is_put_comes_back_and_does_not_show(vault: Vault) -> None:
    vault.put(NAME, SecretStr(WORD))
    found = vault.get(NAME)
    assert isinstance(found, Secret)
    assert found.get_secret_value() == WORD
    assert WORD not in f"{found!r} {found} {vault.__dict__!r}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=300))
def test_any_text_comes_back_as_it_was(vault: Vault, value: str) -> None:
    vault.put(NAME, Secret(value))
    assert vault.get(NAME).get_secret_value() == value


def test_a_second_value_replaces_the_first(ledger: Ledger, vault: Vault, clock: Clock) -> None:
    first = clock()
    vault.put(NAME, SecretStr("the first"))
    clock.forward(hours=1)
    vault.put(NAME, SecretStr("the second"))
    assert opened(vault) == {NAME: "the second"}
    (row,) = rows(ledger, "SELECT created_at, updated_at FROM secrets")
    assert row["updated_at"] - row["created_at"] == 3_600_000_000
    found = ledger.secrets.get(NAME)
    assert found is not None
    assert (found.key_id, found.put_at > first) == ("new", True)


def test_many_values_are_opened_at_once_whatever_the_others_are(ledger: Ledger, vault: Vault) -> None:
    values = {f"tap/{number:04}/password": f"{WORD}-{number}" for number in range(CHUNK + 3)}
    put(vault, values)
    put(vault_of(ledger, "lost"), {"a/closed": WORD})
    asked = [*values, "a/closed", "a/absent", *values]
    with statements(ledger) as seen:
        found = vault.get_many(asked)
    assert {name: value.get_secret_value() for name, value in found.items()} == values
    assert len([one for one in seen if "FROM secrets" in one]) == 2
    assert vault.get_many([]) == {}
    put(vault, {"a/half": "\ud800"})
    assert vault.get_many(["a/half"])["a/half"].get_secret_value() == "\ud800"


def test_names_are_found_by_their_beginning_to_the_letter(vault: Vault) -> None:
    put(vault, dict.fromkeys(["tap/b/password", "tap/a/password", "Tap/c", "tap_/d", "tap", "token/alice/sms"], "x"))
    assert vault.names() == ["Tap/c", "tap", "tap/a/password", "tap/b/password", "tap_/d", "token/alice/sms"]
    assert vault.names("tap/") == ["tap/a/password", "tap/b/password"]
    assert vault.names("tap_") == ["tap_/d"]
    assert vault.names("%") == []


def test_what_is_deleted_is_gone(vault: Vault) -> None:
    put(vault, {"a": "1", "b": "2", "c": "3"})
    assert vault.delete(["a", "c", "never-there", "a"]) == 2
    assert opened(vault) == {"b": "2"}
    assert vault.delete([]) == 0


def test_many_values_are_kept_all_or_none(vault: Vault) -> None:
    with pytest.raises(InputError) as caught:
        put(vault, {"good": "x", "a//b": WORD, "empty": "", "long": "é" * 40_000})
    assert [fault[:24] for fault in caught.value.faults] == [
        "expected the name of a s",
        "the secret 'empty' is em",
        "the secret 'long' is lon",
    ]
    assert WORD not in told(caught.value)
    assert vault.names() == []
    put(vault, {})
    assert vault.names() == []


def test_what_is_sealed_may_be_committed_with_something_else(ledger: Ledger, vault: Vault) -> None:
    sealed = [vault.seal("mobile-key/1", SecretStr("one")), vault.seal("mobile-key/2", SecretStr("two"))]
    assert vault.names() == []
    with pytest.raises(IntegrityError):
        _write_with(ledger, sealed, "INSERT INTO notes (name, at) VALUES ('twice', 1), ('twice', 2)")
    assert vault.names() == []
    _write_with(ledger, sealed, "INSERT INTO notes (name, at) VALUES ('once', 1)")
    assert opened(vault) == {"mobile-key/1": "one", "mobile-key/2": "two"}


def test_a_name_without_a_secret_is_told(vault: Vault) -> None:
    assert refusal(vault) == f"InputError: the vault has no secret '{NAME}'"


def test_a_missing_ring_key_is_named(ledger: Ledger) -> None:
    vault_of(ledger, "old").put(NAME, SecretStr(WORD))
    assert "ConfigurationError" in refusal(vault_of(ledger, "new"))
    assert "ring key 'old', which KEYTURN_VAULT_KEYS does not hold" in refusal(vault_of(ledger, "new"))
    assert vault_of(ledger, "new", "old").get(NAME) == Secret(WORD)


def test_another_ring_key_under_the_same_id_is_told(ledger: Ledger) -> None:
    vault_of(ledger, "old").put(NAME, SecretStr(WORD))
    impostor = KeyRing({"old": bytes(range(32))})
    words = refusal(Vault(ledger.secrets, impostor))
    assert words.startswith("ConfigurationError")
    assert "holds another key under the id 'old'" in words


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE name = 'other') WHERE name = :name",
        "UPDATE secrets SET id = 'ffffffffffffffffffffffffffffffff' WHERE name = :name",
        "UPDATE secrets SET name = 'elsewhere' WHERE name = :name",
        "UPDATE secrets SET key_id = 'old' WHERE name = :name",
        "UPDATE secrets SET key_id = 'stranger' WHERE name = :name",
    ],
)
def test_a_row_that_was_meddled_with_does_not_open(ledger: Ledger, vault: Vault, statement: str) -> None:
    put(vault, {NAME: WORD, "other": "other-value"})
    tamper(ledger, statement, name=NAME)
    name = "elsewhere" if "elsewhere" in statement else NAME
    assert f"'{name}'" in refusal(vault, name)
    assert vault.get("other") == Secret("other-value")


def test_the_whole_row_of_another_name_does_not_open_under_this_one(ledger: Ledger, vault: Vault) -> None:
    put(vault, {NAME: WORD, "other": "other-value"})
    tamper(ledger, "DELETE FROM secrets WHERE name = 'other'")
    tamper(ledger, "UPDATE secrets SET name = 'other' WHERE name = :name", name=NAME)
    assert "it was changed or moved" in refusal(vault, "other")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(at=st.integers(0, 2**16), flip=st.integers(1, 255))
def test_a_changed_byte_in_the_database_does_not_open(ledger: Ledger, vault: Vault, at: int, flip: int) -> None:
    vault.put(NAME, SecretStr(WORD))
    row = ledger.secrets.get(NAME)
    assert row is not None
    changed = bytearray(row.sealed)
    changed[at % len(changed)] ^= flip
    tamper(ledger, "UPDATE secrets SET sealed = :sealed WHERE name = :name", sealed=bytes(changed), name=NAME)
    assert "InputError" in refusal(vault)


def _spellings(secret: bytes) -> list[bytes]:
    return [secret, secret.hex().encode(), secret.hex().upper().encode(), b64encode(secret).rstrip(b"=")]


def test_nowhere_in_the_database_stands_a_secret_or_a_ring_key(ledger: Ledger, vault: Vault) -> None:
    private = b64encode(hashlib.sha512(b"a private key").digest()).decode()
    put(vault, {NAME: WORD, "mobile-key/1": private, "token/alice/sms": "+999 1234567"})
    vault.put(NAME, SecretStr(f"{WORD}-the-second"))
    vault_of(ledger, "old").put("of-the-old-ring", SecretStr("another-word-of-mine"))
    vault.reseal()
    vault.delete(["token/alice/sms"])
    there = everything(ledger)
    assert NAME.encode() in there  # it is the right database, and a name is no secret
    texts = [WORD, private, "+999 1234567", "another-word-of-mine"]
    secrets = [text.encode() for text in texts] + list(ring_keys(ring_text("new", "old")).values())
    assert [spelling for secret in secrets for spelling in _spellings(secret) if spelling in there] == []


def test_a_statement_that_fails_does_not_tell_what_it_carried(ledger: Ledger, vault: Vault) -> None:
    sealed = vault.seal(NAME, SecretStr(WORD))
    with pytest.raises(IntegrityError) as caught:  # the same id under two names
        ledger.secrets.put([sealed, replace(sealed, name="other")])
    shown = str(caught.value)
    assert WORD not in told(caught.value)
    assert sealed.sealed.hex() not in shown
    assert repr(sealed.sealed) not in shown
    assert vault.names() == []


def test_a_document_may_name_a_secret_of_the_vault(vault: Vault) -> None:
    vault.put(NAME, SecretStr(WORD))
    reference = VaultReference(vault=NAME)
    assert resolve(reference, vault).get_secret_value() == WORD
    with pytest.raises(InputError, match="the vault has no secret 'absent'"):
        resolve(VaultReference(vault="absent"), vault)
    with pytest.raises(
        ConfigurationError, match=f"vault secret {NAME} is needed, but no vault is open: set KEYTURN_VAU"
    ):
        resolve(reference)
