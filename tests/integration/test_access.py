from datetime import timedelta
from typing import Any

import pytest

from infra.ledger import Ledger
from schemas.access import ApiKey, Role
from schemas.errors import InputError, LedgerUnavailable
from services.access import Access
from tests.conftest import Clock
from tests.support.ledger import rows


@pytest.fixture
def access(ledger: Ledger, clock: Clock) -> Access:
    return Access(ledger, clock=clock)


def make(ledger: Ledger, access: Access, role: Role = Role.ADMIN, **more: Any) -> tuple[ApiKey, str]:
    with ledger.database.writing() as connection:
        made, secret = access.make(connection, **{"name": "ann", "role": role, "days": None, "actor": "test", **more})
    return made, secret.get_secret_value()


def end(ledger: Ledger, access: Access, key: ApiKey, **more: Any) -> bool:
    with ledger.database.writing() as connection:
        return access.end(connection, key.id, actor="test", **more)


def test_a_key_opens_and_its_secret_is_nowhere_in_the_ledger(ledger: Ledger, access: Access) -> None:
    made, key = make(ledger, access, Role.OPERATOR)
    found = access.check(key)
    assert found is not None
    assert (found.id, found.name, found.role) == (made.id, "ann", Role.OPERATOR)
    secret = key.rsplit("_", 1)[1] if not key.endswith("_") else key[-43:]
    for table in ("api_keys", "audit"):
        assert secret not in str(rows(ledger, f"SELECT * FROM {table}"))  # noqa: S608 - two names


def test_no_other_text_opens(ledger: Ledger, access: Access) -> None:
    _, key = make(ledger, access)
    _, other = make(ledger, access)
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    mixed = key[:16] + other[16:]
    for text in ("", "kt_", wrong, mixed, key.upper(), key + "A", f" {key}", "kt_000000000000_" + "A" * 43):
        assert access.check(text) is None


def test_a_key_ends_when_it_is_ended_and_when_it_expires(ledger: Ledger, access: Access, clock: Clock) -> None:
    make(ledger, access)
    ended, ended_key = make(ledger, access)
    _, short_key = make(ledger, access, days=1)
    assert end(ledger, access, ended)
    assert not end(ledger, access, ended)
    assert access.check(ended_key) is None
    clock.forward(hours=23, minutes=59)
    assert access.check(short_key) is not None
    clock.forward(minutes=1)
    assert access.check(short_key) is None


def test_use_is_noted_at_most_once_a_minute(ledger: Ledger, access: Access, clock: Clock) -> None:
    _, key = make(ledger, access)
    first = clock()
    for _ in range(3):
        access.check(key)
        assert ledger.keys.list()[0].last_used_at == first
        clock.forward(seconds=19)
    clock.forward(seconds=3)
    access.check(key)
    assert ledger.keys.list()[0].last_used_at == clock()


def test_a_key_opens_even_when_its_use_cannot_be_noted(
    ledger: Ledger, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, key = make(ledger, access)

    def refuse(*_: object) -> None:
        raise LedgerUnavailable("a standby only reads")

    monkeypatch.setattr(ledger.keys, "note_use", refuse)
    assert access.check(key) is not None


def test_the_last_living_key_of_an_admin_stays(ledger: Ledger, access: Access, clock: Clock) -> None:
    last, _ = make(ledger, access)
    make(ledger, access, days=1)
    viewer, _ = make(ledger, access, Role.VIEWER)
    assert end(ledger, access, viewer)
    clock.forward(days=2)  # the other admin's key has expired
    with pytest.raises(InputError, match="last living key of an admin"):
        end(ledger, access, last)
    assert end(ledger, access, last, even_the_last=True)


def test_what_was_done_with_keys_stands_in_the_audit(ledger: Ledger, access: Access) -> None:
    make(ledger, access)
    made, _ = make(ledger, access, reason="for the gate")
    end(ledger, access, made, reason="lost")
    actions = [(found.entry.action, found.entry.reason) for found in ledger.audit.page(before=None, limit=9)]
    assert actions == [("key.end", "lost"), ("key.new", "for the gate"), ("key.new", "")]
    assert ledger.audit.verify().holds


def test_a_key_lives_for_days_that_can_be_counted(ledger: Ledger, access: Access, clock: Clock) -> None:
    made, _ = make(ledger, access, days=30)
    assert made.expires_at == clock() + timedelta(days=30)
