from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.ledger import Ledger, SealedSecret
from schemas.errors import InputError
from schemas.mobile_keys import HeldKey, Origin
from schemas.secret import Secret
from schemas.twon import KeyType
from tests.support.vault import vault_of

NOW = datetime(2026, 5, 10, 12, 0, tzinfo=UTC)


def key(name: str, *, job_id: int | None = None, **more: Any) -> HeldKey:
    origin = Origin.READ if job_id is None else Origin.MADE
    known = {"location": "Lobby", "kind": KeyType.RSA, "public": f"public of {name}", "created_at": NOW, **more}
    return HeldKey(id=name, origin=origin, job_id=job_id, **known)


def sealed(ledger: Ledger, made: HeldKey) -> SealedSecret:
    return vault_of(ledger, "one").seal(made.secret_name, Secret(f"private half of {made.id}"))


def add(ledger: Ledger, made: HeldKey) -> HeldKey:
    return ledger.mobile_keys.add(made, sealed(ledger, made))


def test_a_key_and_its_private_half_are_written_together(ledger: Ledger) -> None:
    made = key("a", job_id=1)
    assert add(ledger, made) == made
    assert ledger.mobile_keys.of_location("Lobby") == [made]
    assert ledger.mobile_keys.of_location("Elsewhere") == []
    assert vault_of(ledger, "one").get("mobile-key/a").get_secret_value() == "private half of a"


def test_a_job_makes_one_key_however_often_it_tries(ledger: Ledger) -> None:
    first = add(ledger, key("a", job_id=1))
    assert add(ledger, key("b", job_id=1)) == first
    ledger.mobile_keys.settle(primary="a", dropped=[], now=NOW)
    assert add(ledger, key("c", job_id=1)) == replace(first, primary_since=NOW)
    assert vault_of(ledger, "one").names("mobile-key/") == ["mobile-key/a"]


def test_a_location_has_one_new_key_at_a_time(ledger: Ledger) -> None:
    first = add(ledger, key("a", job_id=1))
    assert add(ledger, key("b", job_id=2)) == first
    assert add(ledger, key("c", job_id=2, location="Gate")).id == "c"
    ledger.mobile_keys.settle(primary="a", dropped=[], now=NOW)
    assert add(ledger, key("d", job_id=2)).id == "d"


def test_keys_that_were_read_twice_are_kept_once(ledger: Ledger) -> None:
    read = [(key(name), sealed(ledger, key(name))) for name in ("a", "b")]
    ledger.mobile_keys.keep(read)
    again = replace(key("c"), public="public of a")
    ledger.mobile_keys.keep([(again, sealed(ledger, again))])
    assert [held.id for held in ledger.mobile_keys.of_location("Lobby")] == ["a", "b"]
    with pytest.raises(InputError):
        vault_of(ledger, "one").get("mobile-key/c")


def test_the_newest_key_comes_first(ledger: Ledger) -> None:
    for name, age in (("old", 9), ("new", 1), ("middle", 5)):
        made = key(name, created_at=NOW - timedelta(days=age))
        ledger.mobile_keys.keep([(made, sealed(ledger, made))])
    assert [held.id for held in ledger.mobile_keys.of_location("Lobby")] == ["new", "middle", "old"]


def test_the_day_on_which_a_key_became_primary_or_went_never_moves(ledger: Ledger) -> None:
    add(ledger, key("a", job_id=1))
    ledger.mobile_keys.settle(primary="a", dropped=[], now=NOW)
    add(ledger, key("b", job_id=2))
    ledger.mobile_keys.settle(primary="b", dropped=["a"], now=NOW + timedelta(days=1))
    ledger.mobile_keys.settle(primary="b", dropped=["a"], now=NOW + timedelta(days=2))
    found = {held.id: held for held in ledger.mobile_keys.of_location("Lobby")}
    assert (found["a"].primary_since, found["a"].dropped_at) == (NOW, NOW + timedelta(days=1))
    assert (found["b"].primary_since, found["b"].dropped_at) == (NOW + timedelta(days=1), None)
