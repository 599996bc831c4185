"""A new ring key takes over while everything goes on: nothing is lost, nothing goes back to an older value."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from infra.ledger import Ledger, SealedSecret, Secrets
from infra.vault import Vault
from infra.vault.sealing import Envelope, Place
from infra.vault.vault import BATCH, KeyUse
from schemas.errors import ConfigurationError
from schemas.secret import Secret
from tests.support.vault import ring, vault_of

MANY = 2 * BATCH + 7


def fill(ledger: Ledger, *, count: int = MANY, key: str = "old") -> dict[str, str]:
    """Put values under one ring key; give what should come back."""
    values = {f"mobile-key/{number:04}": f"value {number}" for number in range(count)}
    vault_of(ledger, key).put_many({name: SecretStr(value) for name, value in values.items()})
    return values


def opened(vault: Vault) -> dict[str, str]:
    return {name: vault.get(name).get_secret_value() for name in vault.names()}


def sealed(ledger: Ledger) -> dict[str, SealedSecret]:
    return {row.name: row for row in ledger.secrets.page(after="", limit=10_000)}


@pytest.fixture
def second(ledger: Ledger) -> Iterator[Ledger]:
    """The same ledger, as another process sees it."""
    other = Ledger(ledger.database.engine.url.render_as_string(hide_password=False))
    yield other
    other.close()


def test_afterwards_the_new_ring_key_is_enough(ledger: Ledger) -> None:
    values = fill(ledger)
    steps: list[tuple[int, int]] = []
    resealed = vault_of(ledger, "new", "old").reseal(lambda *step: steps.append(step))
    assert (resealed.done, resealed.left) == (MANY, {})
    assert steps == [(BATCH, MANY), (2 * BATCH, MANY), (MANY, MANY)]
    assert opened(vault_of(ledger, "new")) == values
    assert ledger.secrets.counts() == {"new": MANY}


def test_only_the_data_key_is_sealed_again(ledger: Ledger) -> None:
    fill(ledger, count=3)
    before = sealed(ledger)
    vault_of(ledger, "new", "old").reseal()
    for name, row in sealed(ledger).items():
        was = before[name]
        assert (row.id, row.put_at) == (was.id, was.put_at)
        place = Place(row.id, name)
        assert Envelope.decode(row.sealed, place).value == Envelope.decode(was.sealed, place).value
        assert Envelope.decode(row.sealed, place).wrapped != Envelope.decode(was.sealed, place).wrapped


def test_a_second_run_finds_nothing_to_do(ledger: Ledger) -> None:
    fill(ledger, count=3)
    vault = vault_of(ledger, "new", "old")
    vault.reseal()
    before = sealed(ledger)
    assert vault.reseal().done == 0
    assert sealed(ledger) == before


def test_an_empty_vault_is_done_at_once(ledger: Ledger) -> None:
    assert vault_of(ledger, "new").reseal().done == 0


class PowerCut(Exception):
    """Ends a run after its first batch."""


def test_a_run_that_is_interrupted_keeps_what_it_did_and_the_next_goes_on(ledger: Ledger) -> None:
    values = fill(ledger)

    def cut(_done: int, _total: int) -> None:
        raise PowerCut

    vault = vault_of(ledger, "new", "old")
    with pytest.raises(PowerCut):
        vault.reseal(cut)
    assert ledger.secrets.counts() == {"new": BATCH, "old": MANY - BATCH}
    assert opened(vault) == values
    assert vault.reseal().done == MANY - BATCH
    assert opened(vault_of(ledger, "new")) == values


class Overtaken(Secrets):
    """A table in which a value is put between a batch's reading and its writing."""

    def __init__(self, ledger: Ledger, puts: Vault) -> None:
        super().__init__(ledger.database)
        self._puts = puts

    def exchange(self, pairs: Sequence[tuple[SealedSecret, SealedSecret]]) -> int:
        """Write after somebody else has."""
        self._puts.put(pairs[0][0].name, SecretStr("the newer value"))
        return super().exchange(pairs)


@pytest.mark.parametrize(("key", "left"), [("new", {}), ("old", {"old": 1})])
def test_a_value_that_is_put_meanwhile_is_not_overwritten(ledger: Ledger, key: str, left: dict[str, int]) -> None:
    values = fill(ledger, count=5)
    table = Overtaken(ledger, vault_of(ledger, key))
    resealed = Vault(table, ring("new", "old")).reseal()
    assert (resealed.done, resealed.left) == (4, left)
    vault = vault_of(ledger, "new", "old")
    assert opened(vault) == {**values, "mobile-key/0000": "the newer value"}
    assert vault.reseal().left == {}


def test_two_processes_seal_again_while_two_others_go_on_writing(ledger: Ledger, second: Ledger) -> None:
    values = fill(ledger)
    begun = threading.Barrier(4)

    def write(vault: Vault, names: Sequence[str]) -> dict[str, str]:
        begun.wait()
        for turn in range(4):
            vault.put_many({name: SecretStr(f"{name} in turn {turn}") for name in names})
        return {name: f"{name} in turn 3" for name in names}

    def reseal(vault: Vault) -> int:
        begun.wait()
        return vault.reseal().done

    names = sorted(values)
    with ThreadPoolExecutor(4) as pool:
        resealers = [pool.submit(reseal, vault_of(one, "new", "old")) for one in (ledger, second)]
        writers = [
            pool.submit(write, vault_of(ledger, "new", "old"), names[100:400:2]),
            pool.submit(write, vault_of(second, "old", "new"), names[101:400:2]),  # not yet restarted
        ]
        written = [writer.result(60) for writer in writers]
        assert sum(resealer.result(60) for resealer in resealers) >= MANY - 300
    expected = {**values, **written[0], **written[1]}
    assert opened(vault_of(ledger, "new", "old")) == expected
    vault_of(ledger, "new", "old").reseal()
    assert opened(vault_of(second, "new")) == expected


def test_what_does_not_open_is_left_and_the_rest_goes_on(ledger: Ledger) -> None:
    values = fill(ledger, count=BATCH + 3)
    vault_of(ledger, "lost").put("a/of-a-lost-key", SecretStr("x"))
    with ledger.database.writing() as connection:
        connection.execute(text("UPDATE secrets SET id = 'moved' WHERE name = 'mobile-key/0001'"))
    vault = vault_of(ledger, "new", "old")
    resealed = vault.reseal()
    assert (resealed.done, resealed.left) == (BATCH + 2, {"lost": 1, "old": 1})
    assert vault.get("mobile-key/0202") == Secret(values["mobile-key/0202"])
    assert vault_of(ledger, "new", "lost").get("a/of-a-lost-key") == Secret("x")
    assert vault.reseal().done == 0


def test_it_is_told_what_each_ring_key_seals_and_what_does_not_open(ledger: Ledger) -> None:
    fill(ledger, count=BATCH + 1)
    vault_of(ledger, "lost").put("a/of-a-lost-key", SecretStr("x"))
    vault_of(ledger, "new").put("b/new", SecretStr("x"))
    with ledger.database.writing() as connection:
        connection.execute(text("UPDATE secrets SET id = 'moved' WHERE name = 'mobile-key/0001'"))
    assert vault_of(ledger, "new", "old", "spare").uses() == [
        KeyUse(key_id="new", in_ring=True, newest=True, values=1, closed=0),
        KeyUse(key_id="old", in_ring=True, newest=False, values=BATCH + 1, closed=1),
        KeyUse(key_id="spare", in_ring=True, newest=False, values=0, closed=0),
        KeyUse(key_id="lost", in_ring=False, newest=False, values=1, closed=1),
    ]
    with pytest.raises(ConfigurationError, match="'lost'"):
        vault_of(ledger, "new", "old", "spare").get("a/of-a-lost-key")
